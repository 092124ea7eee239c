"""The service of a fleet's members in tests: how it behaves is in the name of its generation."""
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# In place, a file says which generation it is.
file, began = os.environ.get("GENERATION_FILE"), time.time()
generation = os.environ.get("THESEUS_GENERATION", "")
if generation.startswith("crash"):
    sys.exit(1)
# `errors-20`: answers are errors after 20 seconds.
words = generation.split("-")
after = float(words[1]) if len(words) > 1 and words[1].isdigit() else 4.0


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, text = 200, open(file).read().strip() if file else generation
        if self.path == "/version" and words[0] == "wrong":
            text = "another"
        if self.path == "/" and words[0] == "errors" and time.time() > began + after:
            status = 500
        if self.path == "/" and words[0] == "slow":
            time.sleep(0.3)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


Server(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
