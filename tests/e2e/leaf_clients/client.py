# SPDX-License-Identifier: Apache-2.0
"""One handshake with the flags that Python has set by itself since 3.13.
Arguments: CA file, host, port."""
import socket
import ssl
import sys

ca, host, port = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
with socket.create_connection(("127.0.0.1", int(port)), 20) as sock:
    with context.wrap_socket(sock, server_hostname=host) as tls:
        print(tls.version())
