"""A web service: POST {"rows": [[...], ...]} answers {"outputs": [[...], ...]}. usage: serve.py MODEL PORT"""
import http.server
import json
import sys

import bnrun

session = bnrun.InferenceSession(sys.argv[1])
name = session.get_inputs()[0].name


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        try:
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["rows"]
            status, answer = 200, {"outputs": session.run(None, {name: rows})[0].tolist()}
        except (KeyError, TypeError, ValueError) as error:  # bnrun.InvalidInput is a ValueError
            status, answer = 400, {"error": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
