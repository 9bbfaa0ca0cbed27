"""Serves /book over HTTPS: address, port and folder of the certificate are its arguments."""

import http.server
import ssl
import sys
from functools import partial

address, port, certificate, key = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer(
    (address, int(port)), partial(http.server.SimpleHTTPRequestHandler, directory="/book")
)
server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
