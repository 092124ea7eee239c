import base64, json
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def answer(self, code, text, kind="text/plain", **headers):
        data = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/plain":
            self.answer(200, "hello")
        elif self.path == "/json":
            self.answer(200, json.dumps({"list": [1, 2]}), "application/json")
        elif self.path == "/created":
            self.answer(201, "made")
        elif self.path == "/redirect":
            self.answer(302, "", Location="/plain")
        elif self.path == "/auth":
            given = self.headers.get("Authorization", "")
            if given.startswith("Basic "):
                self.answer(200, base64.b64decode(given[6:]).decode())
            else:
                self.answer(401, "who", WWW_Authenticate='Basic realm="x"')
        else:
            self.answer(404, "nothing")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.answer(200, json.dumps({"method": self.command, "body": body, "own": self.headers.get("X-Own"),
                                     "type": self.headers.get("Content-Type")}), "application/json")

    do_PUT = do_POST

    def log_message(self, *args):
        pass


HTTPServer(("127.0.0.1", 8097), Handler).serve_forever()
