// SPDX-License-Identifier: Apache-2.0
// GET one URL through the proxy of the environment with Node's own modules: an agent that makes
// each connection by CONNECT. Prints the status, then the body.
'use strict';
const http = require('node:http');
const https = require('node:https');
const tls = require('node:tls');

class TunnelAgent extends https.Agent {
  createConnection(options, done) {
    const proxy = new URL(process.env.HTTPS_PROXY);
    const target = `${options.host}:${options.port}`;
    const request = http.request({
      host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: target,
      headers: {Host: target},
    });
    request.on('connect', (answer, socket) => {
      if (answer.statusCode !== 200) {
        done(new Error(`CONNECT: ${answer.statusCode} ${answer.headers['exeat-reason']}`));
        return;
      }
      const inner = tls.connect({socket, servername: options.host, ALPNProtocols: ['http/1.1']});
      inner.on('secureConnect', () => done(null, inner));
      inner.on('error', done);
    });
    request.on('error', done);
    request.end();
  }
}

const agent = new TunnelAgent();
const request = https.request(process.argv[2], {agent}, (answer) => {
  console.log(answer.statusCode);
  answer.pipe(process.stdout);
});
request.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
request.end();
