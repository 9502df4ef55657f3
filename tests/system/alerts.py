# SPDX-License-Identifier: Apache-2.0
"""A webhook that writes what it is told, a line each: alerts.py FILE; prints its port. While the file FILE.broken is
there, it answers 500."""
import http.server
import os
import sys


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        broken = os.path.exists(sys.argv[1] + ".broken")
        with open(sys.argv[1] + (".refused" if broken else ""), "a") as file:
            file.write(body + "\n")
        self.send_response(500 if broken else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
print(server.server_address[1], flush=True)
server.serve_forever()
