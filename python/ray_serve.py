"""Runs servers on a Ray cluster, of a model or of a script that measures rows. What `alpagasus … --on ray:…` submits as a job: python ray_serve.py.

Each server is a process of its own, started by an actor, so that a server that fails takes no other with it. Where the servers are is told by a
small page, which alpagasus asks every few seconds. When nobody has asked for a minute, all of them end.
"""

import collections
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

SILENCE = 60  # seconds without a question, after which the servers end
MOST_LOSSES = 3  # of one server in a row, before it is given up
STEADY = 600  # seconds of work after which an end counts as the first one
START_WITHIN = 3600  # seconds for a server to be ready: it may download many gigabytes
GRACE = 5  # seconds between SIGTERM and SIGKILL


def fail(message):
    print(f"ray_serve.py: {message}", flush=True)
    sys.exit(2)


def tell(phase):
    print(f"alpagasus: {phase}", flush=True)


def main():
    import ray

    with open("serve.json", encoding="utf-8") as file:
        spec = json.load(file)
    with open("requirements.txt", encoding="utf-8") as file:
        spec["requirements"] = file.read()
    files = read_files("model") if os.path.isdir("model") else {}
    ray.init(log_to_driver=True)
    page = Page(ray.util.get_node_ip_address())
    print(f"alpagasus: servers are listed at {page.url}", flush=True)
    serve(ray, spec, ray.put(files), page)


def read_files(folder):
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(path, name)
            with open(full, "rb") as file:
                found[os.path.relpath(full, folder)] = file.read()
    return found


class Page:
    """Tells where the servers are, and remembers who asks."""

    def __init__(self, host):
        self.state = {"servers": [], "notes": []}
        self.last_lines = list  # what the first server said last
        self.clients = {}
        self.opened = time.monotonic()
        self.was_asked = False
        self.path = f"/{uuid.uuid4().hex}"
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = urlparse(self.path)
                client = parse_qs(asked.query).get("client", [""])[0]
                what = asked.path.removeprefix(page.path)
                if not asked.path.startswith(page.path) or what not in ("", "/leave", "/said") or not client:
                    self.send_error(404)
                    return
                page.was_asked = True
                if what == "/leave":
                    page.clients.pop(client, None)
                else:
                    page.clients[client] = time.monotonic()
                answer = page.last_lines() if what == "/said" else {**page.state, "clients": len(page.clients)}
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{at(host)}:{server.server_address[1]}{self.path}"
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def is_asked(self):
        """Whether somebody asks, or nobody has come yet, within a minute."""
        now = time.monotonic()
        for client, seen in list(self.clients.items()):
            if now - seen > SILENCE:
                self.clients.pop(client, None)
        return bool(self.clients) or (not self.was_asked and now - self.opened <= SILENCE)


def at(host):
    return f"[{host}]" if ":" in host else host


def serve(ray, spec, files, page):
    Remote = ray.remote(Server)
    needs = {"num_gpus": spec["gpus"], "num_cpus": 0} if spec["gpus"] else {"num_cpus": 1}
    actors, waiting, serving = {}, {}, {}
    losses, why, ready_at = collections.Counter(), {}, {}
    was_ready = False
    tell("starting the servers, as the cluster has room for them")
    while page.is_asked():
        for place in range(spec["replicas"]):
            if place not in actors and losses[place] < MOST_LOSSES:
                actors[place] = Remote.options(max_concurrency=2, **needs).remote()
                waiting[actors[place].start.remote(spec, files)] = (place, "start")
        ready, _ = ray.wait(list(waiting), num_returns=1, timeout=1) if waiting else ([], [])
        if not waiting:
            time.sleep(1)
        for reference in ready:
            place, doing = waiting.pop(reference)
            try:
                found = ray.get(reference)
            except ray.exceptions.RayTaskError as error:  # an error of our own code there, such as a full disk
                lines = [line for line in str(error).splitlines() if line.strip()]
                found = {"failed": lines[-1] if lines else type(error).__name__}
            except ray.exceptions.RayError as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                found = {"failed": f"its machine or process was lost ({lines[0] if lines else type(error).__name__})"}
            if "url" in found:
                serving[place] = found
                ready_at[place] = time.monotonic()
                was_ready = True
                waiting[actors[place].watch.remote()] = (place, "watch")
                tell(f"server {place + 1} of {spec['replicas']} is ready")
            else:
                serving.pop(place, None)
                if time.monotonic() - ready_at.pop(place, time.monotonic()) > STEADY:
                    losses[place] = 0
                losses[place] += 1
                why[place] = found["failed"]
                for line in found.get("said", []):
                    print(line, flush=True)
                print(f"alpagasus: server {place + 1} of {spec['replicas']} has ended: {why[place]}", flush=True)
                ray.kill(actors.pop(place))
                if not was_ready and not found["failed"].startswith("its machine"):
                    fail(f"the server could not be started: {why[place]}")
        given_up = [place for place in range(spec["replicas"]) if losses[place] >= MOST_LOSSES]
        if len(given_up) == spec["replicas"]:
            fail(f"no server is left: {why[given_up[0]]}")
        first = next((actors[place] for place in sorted(serving)), None)
        page.last_lines = lambda actor=first: ray.get(actor.last_lines.remote(), timeout=5) if actor else []
        page.state = {
            "servers": [serving[place] for place in sorted(serving)],
            "notes": [f"server {place + 1} of {spec['replicas']} was given up: {why[place]}" for place in given_up],
        }
    tell("ending the servers")
    for actor in actors.values():
        ray.kill(actor)
    time.sleep(1)


class Server:
    """An actor with a server of its own."""

    def start(self, spec, files):
        """Its address, and the name of the model there, once it is ready; or why it has failed, and its last lines."""
        import ray

        uv = shutil.which("uv")
        if uv is None:
            return {"failed": "uv: expected it on the cluster's machines, found none; it installs the server: pip install uv"}
        model = place_model(spec, files)
        if model is None:
            return {
                "failed": f"{spec['path']}: expected the model there on {socket.gethostname()}, found nothing, or other files;"
                " put it on storage that the cluster's machines share, under the same path, or name a Hub id"
            }
        self.folder = tempfile.mkdtemp(prefix="alpagasus-server-")
        requirements = os.path.join(self.folder, "requirements.txt")
        with open(requirements, "w", encoding="utf-8") as file:
            file.write(spec["requirements"])
        for name, text in spec["scripts"].items():
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        host = ray.util.get_node_ip_address()
        port = free_port(host)
        values = {"{host}": host, "{port}": str(port), "{model}": model, "{requirements}": requirements, "{scripts}": self.folder}
        command = [uv, *(replace_all(word, values) for word in spec["command"])]
        offline = {"HF_HUB_OFFLINE": "1"} if spec["offline"] else {}
        self.said = collections.deque(maxlen=60)
        self.code = None
        self.ended = threading.Event()
        out, self.alive = launch(self.folder, command, {**os.environ, **offline, "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"})
        self.is_ready = False
        threading.Thread(target=self.read, args=[out], daemon=True).start()
        end = time.monotonic() + START_WITHIN
        while time.monotonic() < end and not self.ended.is_set():
            if is_healthy(f"http://{at(host)}:{port}/health"):
                self.is_ready = True
                return {"url": f"http://{at(host)}:{port}/v1", "model": spec["name"] or model}
            self.ended.wait(0.5)
        return self.failure()

    def read(self, out):
        with os.fdopen(out, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("\0ended "):
                    self.code = int(line.split()[1])
                    break
                self.said.append(line.rstrip())
                if not self.is_ready and line.lstrip().startswith(("Downloading ", "Building ", "Preparing ", "Installing ")):
                    print(line.rstrip(), flush=True)  # what uv does
        self.ended.set()

    def last_lines(self):
        return [line for line in self.said if line.strip()]

    def watch(self):
        self.ended.wait()
        return self.failure()

    def failure(self):
        said = self.last_lines()
        errors = [line for line in said if "Error" in line.split(":", 1)[0] and ":" in line]
        last = (errors or said or ["it said nothing"])[-1].strip()
        return {"failed": f"it ended with code {self.code}: {last[:400]}" if self.ended.is_set() else "it was not ready within an hour", "said": said}


def place_model(spec, files):
    """The model's folder on this machine, under a name that tells its content: where it is on the machine that asks, if it has the same files
    there, or a copy of what was sent."""
    if spec["isOnHub"]:
        return spec["path"]
    expected = spec["files"]
    models = os.path.join(tempfile.gettempdir(), f"alpagasus-models-{os.getuid()}")
    os.makedirs(models, mode=0o700, exist_ok=True)
    folder = os.path.join(models, spec["hash"])
    if has(folder, expected):
        return folder
    if os.path.islink(folder):  # to a model that has changed since
        os.remove(folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    partial = f"{folder}.{uuid.uuid4().hex}"
    if has(spec["path"], expected):
        os.symlink(spec["path"], partial)
    elif files:
        for name, content in files.items():
            os.makedirs(os.path.dirname(os.path.join(partial, name)), exist_ok=True)
            with open(os.path.join(partial, name), "wb") as file:
                file.write(content)
    else:
        return None
    try:
        os.rename(partial, folder)
    except OSError:  # another server of this machine was quicker
        if os.path.islink(partial):
            os.remove(partial)
        else:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def has(folder, expected):
    return all(fingerprint(os.path.join(folder, name)) == known for name, known in expected.items())


SAMPLES, SAMPLE = 64, 65536  # of a large file


def fingerprint(path):
    """SHA-256 of a file's size and content; of a large file, of samples all over it. As `fingerprint` in src/cluster/package.ts."""
    try:
        size = os.path.getsize(path)
        sha = hashlib.sha256(str(size).encode())
        with open(path, "rb") as file:
            if size <= SAMPLES * SAMPLE:
                sha.update(file.read())
            else:
                for i in range(SAMPLES):
                    file.seek((size - SAMPLE) * i // (SAMPLES - 1))
                    sha.update(file.read(SAMPLE))
        return sha.hexdigest()[:32]
    except OSError:
        return None


def replace_all(word, values):
    for name, value in values.items():
        word = word.replace(name, value)
    return word


def free_port(host):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as found:
        found.bind((host, 0))
        return found.getsockname()[1]


def is_healthy(url):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def launch(folder, command, environment):
    """Starts a command that ends with this process, even by kill -9, and with all processes that it has started.

    Ray ends an actor's children itself, without those that they have started. So the command is started by a watcher that is nobody's child,
    and that waits for the end of a pipe.
    """
    waits, alive = os.pipe()
    out, into = os.pipe()
    subprocess.run(
        [sys.executable, "-c", WATCHER, str(waits), folder, *command],
        stdin=subprocess.DEVNULL, stdout=into, stderr=into, pass_fds=[waits], env=environment, start_new_session=True, check=True,
    )
    os.close(waits)
    os.close(into)
    return out, alive


WATCHER = """
import os, select, shutil, signal, subprocess, sys
waits, grace = int(sys.argv[1]), GRACE
if os.fork():
    os._exit(0)
child = subprocess.Popen(sys.argv[3:], start_new_session=True, stdin=subprocess.DEVNULL)
while child.poll() is None:
    if select.select([waits], [], [], 0.5)[0]:
        break
def end(kind):
    try:
        os.killpg(child.pid, kind)
    except ProcessLookupError:
        pass
end(signal.SIGTERM)
try:
    child.wait(grace)
except subprocess.TimeoutExpired:
    pass
end(signal.SIGKILL)
shutil.rmtree(sys.argv[2], ignore_errors=True)
try:
    os.write(1, b"\\n\\0ended %d\\n" % child.wait())
except OSError:
    pass
""".replace("GRACE", str(GRACE))


if __name__ == "__main__":
    main()
