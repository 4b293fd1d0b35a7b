"""A local Rodin service on a real socket, for the demo, the tests and benchmarks. Not a part of the extension.

It speaks the four calls of the service, hands out real files, and can misbehave in all the ways `FAULTS` names.
Run it by hand with `python -m tools.simulator --port 8090`, or hold a `Simulator` in a test.

A task's *story* is a list of jobs; a job is a list of `[seconds since the task began, status]`. A story's seconds are
divided by the simulator's `speed`. What a client in another process wants it asks for under /simulator:

    POST /simulator/tasks     {"prompt": ..., "story": name or list, "faults": [names], "files": {name: base64}}
                              -> a generation answer
    POST /simulator/faults    {"faults": [names], "path": "status"}   for the next calls, whatever the task
    POST /simulator/hosting   {"rate": bytes a second or null, "link_life": seconds} of the file server
    GET  /simulator/requests  what the service was asked: path, time, subscription key, whether a key was sent, ...

The file server is the same one under /files. Its links end after `link_life`, it tells versions (ETag) and takes
ranges, and `rate` makes it as slow as a line.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import os
import secrets
import socket
import ssl
import struct
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from tools.models import result_files

API_KEY = "simulated-api-key"
MANY_BYTES = 20 * 1024 * 1024

Story = list[list[tuple[float, str]]]
Files = dict[str, bytes] | list[tuple[str, bytes]]
"""Names and contents; a list where a name comes twice."""


def _story(*ends: str, waiting: float = 2.0, step: float = 2.0) -> Story:
    """Jobs that begin together and end one after the other, each in its status of `ends`."""
    return [
        [(0.0, "Waiting"), (waiting, "Generating"), (waiting + step * (number + 1), end)]
        for number, end in enumerate(ends)
    ]


STORIES: dict[str, Story] = {
    "done": _story("Done", "Done", "Done", "Done", "Done"),
    "one-job": _story("Done"),
    "partly-failed": _story("Done", "Done", "Failed"),
    "failed": _story("Failed", "Failed"),
    "canceled": _story("Canceled"),
    "waiting": [[(0.0, "Waiting")], [(0.0, "Waiting")]],
    "stuck": [[(0.0, "Generating")], [(0.0, "Done")], [(0.0, "Done")], [(0.0, "Generating")], [(0.0, "Generating")]],
    "unknown-word": [[(0.0, "Polishing")]],
    "no-jobs": [],
}


def _subscription_key() -> str:
    payload = {"type": "rodin", "jobIds": [str(uuid.uuid4()) for _ in range(3)], "iat": int(time.time())}
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}).encode(), json.dumps(payload).encode(), secrets.token_bytes(32)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@dataclass
class Task:
    story: Story
    prompt: str
    began: float
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    subscription_key: str = field(default_factory=_subscription_key)
    job_uuids: list[str] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    files: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    path: str
    at: float
    subscription_key: str
    authorized: bool
    host: str = ""
    range: str = ""
    """Of a file: the bytes that were asked for, where not all."""
    file: str = ""
    """Its task's uuid and its number in the list."""


class Simulator:
    """The service. As a context manager it listens on 127.0.0.1, on a free port unless told otherwise."""

    def __init__(
        self, *, port: int = 0, speed: float = 1.0, balance: float = 12.5, tls: ssl.SSLContext | None = None
    ) -> None:
        self.speed = speed
        self.balance = balance
        self.requests: list[Asked] = []
        self.rate: float | None = None
        self.link_life = 600.0
        self.released = threading.Event()
        """Set to end all hanging answers."""
        self._tasks: dict[str, Task] = {}
        self._faults: dict[str, deque[str]] = {}
        self._server = make_server(
            "127.0.0.1", port, self._application, threaded=True, request_handler=_Quiet, ssl_context=tls
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="simulator", daemon=True)
        self.port = self._server.server_port
        self.root = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.root}/api/v2"
        self._urls = Map(
            [
                Rule("/api/v2/rodin", methods=["POST"], endpoint=self._generate),
                Rule("/api/v2/status", methods=["POST"], endpoint=self._status),
                Rule("/api/v2/download", methods=["POST"], endpoint=self._download),
                Rule("/api/v2/check_balance", methods=["GET"], endpoint=self._check_balance),
                Rule("/files/<task_uuid>/<path:name>", methods=["GET"], endpoint=self._file),
                Rule("/simulator/tasks", methods=["POST"], endpoint=self._add),
                Rule("/simulator/faults", methods=["POST"], endpoint=self._add_faults),
                Rule("/simulator/hosting", methods=["POST"], endpoint=self._set_hosting),
                Rule("/simulator/requests", methods=["GET"], endpoint=self._asked),
            ]
        )

    def __enter__(self) -> Simulator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def add(
        self,
        story: str | Story = "done",
        *,
        prompt: str = "",
        faults: Iterable[str] = (),
        files: Files | None = None,
    ) -> dict[str, Any]:
        """Begin a task. Its status calls first meet `faults`, one each. Returns the generation call's answer."""
        jobs = STORIES[story] if isinstance(story, str) else story
        # Made here and not when they are asked for: it takes a second, and clients do not wait so long.
        files = result_files(prompt) if files is None else files
        listed = [*files.items()] if isinstance(files, dict) else files
        task = Task(jobs, prompt, time.time(), faults=deque(faults), files=listed)
        task.job_uuids = [str(uuid.uuid4()) for _ in jobs]
        self._tasks[task.subscription_key] = task
        return {
            "error": None,
            "message": "Submitted.",
            "prompt": prompt,
            "submit_time": formatdate(task.began, usegmt=True),
            "uuid": task.uuid,
            "jobs": {"uuids": task.job_uuids, "subscription_key": task.subscription_key},
        }

    def fail(self, path: str, *faults: str) -> None:
        """Answer the next calls of `path` (status, download, check_balance, files) with these faults, one each."""
        self._faults.setdefault(path, deque()).extend(faults)

    def mend(self, path: str) -> None:
        """Answer the calls of `path` as a service does that is well."""
        self._faults.pop(path, None)

    def asked(self, path: str) -> list[Asked]:
        return [request for request in self.requests if request.path == path]

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            endpoint, values = self._urls.bind_to_environ(environ).match()
            response = endpoint(request, **values)
        except HTTPException as error:
            response = error.get_response(environ)
        return response(environ, start_response)  # type: ignore[no-any-return]

    # The service's calls.

    def _generate(self, request: Request) -> Response:
        return _json(self.add(prompt=request.form.get("prompt", "")), 201)

    def _status(self, request: Request) -> Response:
        key = (request.get_json(silent=True) or {}).get("subscription_key", "")
        self._note("status", request, key)
        task = self._tasks.get(key)
        fault = self._next_fault("status", task)
        if fault:
            return FAULTS[fault](self, request)
        refusal = self._refusal_or_none(request)
        if refusal:
            return refusal
        if task is None:
            return _error("NO_SUCH_TASK", "The subscription key does not identify an available task.")
        return _json({"jobs": self._jobs(task)}, 201)

    def _download(self, request: Request) -> Response:
        task_uuid = (request.get_json(silent=True) or {}).get("task_uuid", "")
        self._note("download", request)
        fault = self._next_fault("download")
        if fault:
            return FAULTS[fault](self, request)
        refusal = self._refusal_or_none(request)
        if refusal:
            return refusal
        task = next((task for task in self._tasks.values() if task.uuid == task_uuid), None)
        if task is None:
            return _error("NO_SUCH_TASK", "No such task.")
        ends = time.time() + self.link_life
        links = [
            {"name": name, "url": f"{self.root}/files/{task.uuid}/{number}?expires={ends}&signature=x"}
            for number, (name, _content) in enumerate(task.files)
        ]
        return _json({"error": "OK", "list": links})

    def _check_balance(self, request: Request) -> Response:
        self._note("check_balance", request)
        fault = self._next_fault("check_balance")
        if fault:
            return FAULTS[fault](self, request)
        return self._refusal_or_none(request) or _json({"balance": self.balance})

    def _file(self, request: Request, task_uuid: str, name: str) -> Response:
        self._note("files", request, file=f"{task_uuid}/{name}")
        fault = self._next_fault("files")
        if fault in FAULTS:
            return FAULTS[fault](self, request)
        task = next((task for task in self._tasks.values() if task.uuid == task_uuid), None)
        if task is None or time.time() > float(request.args.get("expires", 0)):
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        content = task.files[int(name)][1]
        if fault:
            return FILE_FAULTS[fault](self, request, content)
        response = Response(content, mimetype="application/octet-stream")
        response.set_etag(_version(content))
        response.make_conditional(request, accept_ranges=True, complete_length=len(content))
        if self.rate:
            response.response = self._slowly(b"".join(response.response), self.rate)  # type: ignore[arg-type]
        return response

    def _slowly(self, content: bytes, rate: float) -> Iterator[bytes]:
        piece = max(int(rate / 20), 1)
        for start in range(0, len(content), piece):
            if self.released.wait(0.05):
                return
            yield content[start : start + piece]

    # The simulator's own.

    def _add(self, request: Request) -> Response:
        wish = request.get_json()
        given = wish.get("files")
        files = None if given is None else {name: base64.b64decode(content) for name, content in given.items()}
        story, prompt, faults = wish.get("story", "done"), wish.get("prompt", ""), wish.get("faults", ())
        return _json(self.add(story, prompt=prompt, faults=faults, files=files))

    def _add_faults(self, request: Request) -> Response:
        wish = request.get_json()
        self.fail(wish["path"], *wish["faults"])
        return _json({})

    def _set_hosting(self, request: Request) -> Response:
        wish = request.get_json()
        self.rate, self.link_life = wish.get("rate", self.rate), wish.get("link_life", self.link_life)
        return _json({})

    def _asked(self, _request: Request) -> Response:
        return _json({"requests": [vars(asked) for asked in self.requests]})

    def _note(self, path: str, request: Request, key: str = "", file: str = "") -> None:
        asked = Asked(
            path,
            time.time(),
            str(key),
            "Authorization" in request.headers,
            request.host.partition(":")[0],
            request.headers.get("Range", ""),
            file,
        )
        self.requests.append(asked)

    def _next_fault(self, path: str, task: Task | None = None) -> str:
        for faults in (self._faults.get(path), task.faults if task else None):
            if faults:
                # A fault whose name ends in "!" stays.
                return faults[0].removesuffix("!") if faults[0].endswith("!") else faults.popleft()
        return ""

    def _refusal_or_none(self, request: Request) -> Response | None:
        if request.headers.get("Authorization") == f"Bearer {API_KEY}":
            return None
        return _json({"error": "UNAUTHORIZED", "message": "Active API key is required."}, 401)

    def _jobs(self, task: Task) -> list[dict[str, Any]]:
        age = (time.time() - task.began) * self.speed
        jobs = []
        for job_uuid, moments in zip(task.job_uuids, task.story, strict=True):
            status = [word for at, word in moments if at <= age][-1]
            job: dict[str, Any] = {"uuid": job_uuid, "status": status}
            if status == "Waiting":
                job["queue_length"] = max(0, 3 - int(age))
            jobs.append(job)
        return jobs


def _json(answer: object, code: int = 200) -> Response:
    return Response(json.dumps(answer), code, mimetype="application/json")


def _error(code: str, message: str, http: int = 200) -> Response:
    return _json({"error": code, "message": message}, http)


# Faults: what a service in trouble sends instead.

Fault = Callable[[Simulator, Request], Response]


def _always(*args: Any, **kwargs: Any) -> Fault:
    return lambda _simulator, _request: Response(*args, **kwargs)


def _throttled(retry_after: Callable[[], str] | None) -> Fault:
    def fault(_simulator: Simulator, _request: Request) -> Response:
        headers = {"Retry-After": retry_after()} if retry_after else {}
        return Response("slow down", 429, headers=headers)

    return fault


def _cut(before: bytes = b"", *, reset: bool = False) -> Fault:
    """Send raw bytes, then end the connection: in order, or with a reset."""

    def fault(_simulator: Simulator, request: Request) -> Response:
        connection: socket.socket = request.environ["werkzeug.socket"]
        connection.sendall(before)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(connection.detach())
        else:
            # Else it waits for another request on this connection.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
        # For the server this is a client that went away: it ends the connection and says nothing.
        raise ConnectionResetError

    return fault


def _hang(simulator: Simulator, request: Request) -> Response:
    simulator.released.wait(300)
    return _cut()(simulator, request)


def _drip(simulator: Simulator, _request: Request) -> Response:
    def drops() -> Iterator[bytes]:
        while not simulator.released.wait(0.2):
            yield b" "

    return Response(drops(), 200, mimetype="application/json")


def _redirect(simulator: Simulator, _request: Request) -> Response:
    return Response("", 302, headers={"Location": f"{simulator.root}/api/v2/check_balance"})


FAULTS: dict[str, Fault] = {
    "401": _always(json.dumps({"error": "UNAUTHORIZED", "message": "Active API key is required."}), 401),
    "403": _always("", 403),
    "404": _always("<html>not found</html>", 404),
    "429": _throttled(None),
    "429-seconds": _throttled(lambda: "3"),
    "429-date": _throttled(lambda: formatdate(time.time() + 4, usegmt=True)),
    "500": _always("<html>Internal Server Error</html>", 500),
    "502-html": _always("<html><h1>502 Bad Gateway</h1></html>", 502, mimetype="text/html"),
    "503-json": _always(json.dumps({"error": "UNKNOWN", "message": "try later"}), 503),
    "html": _always("<html>Welcome to the hotel's network</html>", 200, mimetype="text/html"),
    "empty": _always("", 200),
    "truncated": _cut(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"jobs": [{"uuid": "123e4'),
    "not-json": _always("jobs: Done", 200),
    "list": _always("[1, 2]", 200),
    "bytes": _always(bytes(range(256)), 200),
    "deep": _always("[" * 200_000, 200),
    "huge": _always(b" " * MANY_BYTES, 200),
    "huge-chunked": lambda _s, _r: Response((b" " * 65536 for _ in range(MANY_BYTES // 65536)), 200),
    "jobs-not-list": _always(json.dumps({"jobs": "Done"}), 200),
    "job-without-status": _always(json.dumps({"jobs": [{"uuid": "x"}]}), 200),
    "no-jobs": _always(json.dumps({"error": "", "jobs": []}), 200),
    "jobs-missing": _always(json.dumps({"error": "OK"}), 200),
    "no-such-task": lambda _s, _r: _error("NO_SUCH_TASK", "No such task."),
    "api-error": lambda _s, _r: _error("API_INVALID_REQUEST", "The request is wrong."),
    "redirect": _redirect,
    "reset": _cut(reset=True),
    "closed": _cut(),
    "garbage": _cut(b"\x16\x03\x01 no HTTP at all\r\n\r\n"),
    "hang": _hang,
    "drip": _drip,
}


# Faults of the file server alone: it has the content, and does not hand it out as it should.

FileFault = Callable[[Simulator, Request, bytes], Response]


def _version(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _raw(headers: str, *, share: float, stay: bool = False, announced: float = 1.0) -> FileFault:
    """Send these headers and a share of the content, then end the connection, or say no more."""

    def fault(simulator: Simulator, request: Request, content: bytes) -> Response:
        # In a second attempt, of what is left: as a line that is cut again and again.
        ranges = "{range}" in headers
        start = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0]) if ranges else 0
        rest = content[start:]
        filled = headers.format(
            code="206 Partial Content" if start else "200 OK",
            length=int(len(rest) * announced),
            version=_version(content),
            range=f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}\r\n" if start else "",
        )
        connection: socket.socket = request.environ["werkzeug.socket"]
        connection.sendall(filled.encode() + b"\r\n" + rest[: int(len(rest) * share)])
        if stay:
            simulator.released.wait(300)
        return _cut()(simulator, request)

    return fault


def _moved(target: Callable[[Simulator, Request], str]) -> FileFault:
    return lambda simulator, request, _content: Response("", 302, headers={"Location": target(simulator, request)})


def _on_localhost(_simulator: Simulator, request: Request) -> str:
    # For a client this is another host.
    return request.url.replace("127.0.0.1", "localhost")


_VERSIONED = 'HTTP/1.1 {code}\r\nContent-Length: {length}\r\nETag: "{version}"\r\n{range}'

FILE_FAULTS: dict[str, FileFault] = {
    "cut-in-the-middle": _raw(_VERSIONED, share=0.5),
    "cut-without-version": _raw("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n", share=0.5),
    "silent-in-the-middle": _raw(_VERSIONED, share=0.5, stay=True),
    "silent-at-the-end": _raw(_VERSIONED, share=0.99, stay=True),
    "announces-more": _raw(_VERSIONED, share=1.0, announced=2.0),
    "announces-less": _raw(_VERSIONED, share=1.0, announced=0.5),
    "no-length": _raw("HTTP/1.0 200 OK\r\n", share=1.0),
    "no-length-and-cut": _raw("HTTP/1.0 200 OK\r\n", share=0.5),
    "to-another-host": _moved(_on_localhost),
    "to-http": _moved(lambda _simulator, _request: "http://files.invalid/model"),
    "in-circles": _moved(lambda _simulator, request: request.url),
    "no-ranges": lambda _simulator, _request, content: Response(content),
    "wrong-range": lambda _simulator, _request, content: Response(
        content[:7], 206, headers={"Content-Range": f"bytes 0-6/{len(content)}"}
    ),
}


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        # After a reset the socket is gone, and the server would look for the connection's next request.
        with contextlib.suppress(OSError):
            super().handle()

    def log(self, *_args: object) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.simulator", description="A local Rodin service.")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; a free one unless given")
    parser.add_argument("--speed", type=float, default=1.0, help="how many of a story's seconds pass in one second")
    arguments = parser.parse_args()
    with Simulator(port=arguments.port, speed=arguments.speed) as simulator:
        print(f"RODIN_API_URL={simulator.url} RODIN_API_KEY={API_KEY}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
