"""Lets a script that measures rows be asked over HTTP: python row_server.py HOST PORT SCRIPT ARGUMENTS…

The script reads blocks of rows and writes results (see likelihood.py). POST /rows takes a JSON array of rows, each with a number (id), and gives
{"results": […], "device": …} when all are there. GET /health answers 200 when the script is ready.
"""

import json
import os
import subprocess
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Script:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self.ready = None
        self.lock = threading.Condition()
        self.writing = threading.Lock()  # apart, since writing waits while the script writes results, which need the other
        self.waiting = {}  # by our own numbers: whose result it is
        self.next = 0
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            self.read_all()
        except Exception:  # results that nobody asked for: whoever waits is to see a server that has ended
            traceback.print_exc()
            sys.stderr.flush()
            self.process.kill()
            os._exit(1)

    def read_all(self):
        for line in self.process.stdout:
            if line.startswith("measured "):
                with self.lock:
                    for result in json.loads(line.removeprefix("measured ")):
                        block, number = self.waiting.pop(result["id"])
                        block.append({**result, "id": number})
                    self.lock.notify_all()
            elif line.startswith("ready "):
                self.ready = json.loads(line.removeprefix("ready "))
            else:
                print(line, end="", flush=True)
        code = self.process.wait()
        sys.stdout.flush()
        os._exit(code or 1)  # it ends only by an error: its input is open

    def measure(self, rows):
        block = []
        with self.lock:
            for row in rows:
                self.waiting[self.next] = (block, row["id"])
                row["id"] = self.next
                self.next += 1
        with self.writing:
            self.process.stdin.write(json.dumps(rows) + "\n")
            self.process.stdin.flush()
        with self.lock:
            self.lock.wait_for(lambda: len(block) == len(rows))
        return {"results": block, "device": self.ready}


def main(host, port, *command):
    script = Script([sys.executable, *command])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.give(200 if self.path == "/health" and script.ready else 503, script.ready or {})

        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                rows = json.loads(body)
            except ValueError as error:
                self.give(400, {"error": str(error)})
                return
            self.give(200, script.measure(rows))

        def give(self, status, value):
            text = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
