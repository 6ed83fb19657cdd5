// SPDX-License-Identifier: Apache-2.0
// One handshake by Node's own checks. Arguments: CA file, host, port.
'use strict';
const fs = require('node:fs');
const net = require('node:net');
const tls = require('node:tls');

const [ca, host, port] = process.argv.slice(2);
const options = {host, port: Number(port), ca: fs.readFileSync(ca)};
if (!net.isIP(host)) {
  options.servername = host;
}
options.socket = net.connect({host: '127.0.0.1', port: options.port});
const socket = tls.connect(options, () => {
  console.log(socket.getProtocol());
  socket.destroy();
});
socket.on('error', (error) => {
  console.error(error.code, error.message);
  process.exitCode = 1;
});
