"""What a service in trouble sends instead of an answer, by name."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from threading import Event
from typing import Any, Protocol

from werkzeug.wrappers import Request, Response

MANY_BYTES = 20 * 1024 * 1024


def as_json(answer: object, code: int = 200) -> Response:
    return Response(json.dumps(answer), code, mimetype="application/json")


def as_error(code: str, message: str, http: int = 200) -> Response:
    return as_json({"error": code, "message": message}, http)


# Faults: what a service in trouble sends instead.


class Service(Protocol):
    """What a fault needs to know of the simulator."""

    released: Event
    """Set to end all hanging answers."""
    root: str


Fault = Callable[[Service, Request], Response]


def _always(*args: Any, **kwargs: Any) -> Fault:
    return lambda _simulator, _request: Response(*args, **kwargs)


def _throttled(retry_after: Callable[[], str] | None) -> Fault:
    def fault(_simulator: Service, _request: Request) -> Response:
        headers = {"Retry-After": retry_after()} if retry_after else {}
        return Response("slow down", 429, headers=headers)

    return fault


def cut(before: bytes = b"", *, reset: bool = False) -> Fault:
    """Send raw bytes, then end the connection: in order, or with a reset."""

    def fault(_simulator: Service, request: Request) -> Response:
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


def hang(simulator: Service, request: Request) -> Response:
    simulator.released.wait(300)
    return cut()(simulator, request)


def _drip(simulator: Service, _request: Request) -> Response:
    def drops() -> Iterator[bytes]:
        while not simulator.released.wait(0.2):
            yield b" "

    return Response(drops(), 200, mimetype="application/json")


def _redirect(simulator: Service, _request: Request) -> Response:
    return Response("", 302, headers={"Location": f"{simulator.root}/api/v2/check_balance"})


FAULTS: dict[str, Fault] = {
    "401": _always(json.dumps({"error": "UNAUTHORIZED", "message": "Active API key is required."}), 401),
    "401-bare": _always("", 401),
    "401-html": _always("<html>The proxy wants to know who you are</html>", 401, mimetype="text/html"),
    "403": _always("", 403),
    "403-html": _always("<html><h1>403 Forbidden</h1></html>", 403, mimetype="text/html"),
    "403-json": _always(json.dumps({"message": "Forbidden"}), 403),
    "permission-denied-403": lambda _s, _r: as_error("PERMISSION_DENIED", "No permission.", 403),
    "permission-denied": lambda _s, _r: as_error("API_PERMISSION_DENIED", "No permission."),
    "user-not-found": lambda _s, _r: as_error("API_USER_NOT_FOUND", "No such user."),
    "group-not-found": lambda _s, _r: as_error("GROUP_NOT_FOUND", "No such group."),
    "404": _always("<html>not found</html>", 404),
    "429": _throttled(None),
    "429-seconds": _throttled(lambda: "3"),
    "429-date": _throttled(lambda: formatdate(time.time() + 4, usegmt=True)),
    "500": _always("<html>Internal Server Error</html>", 500),
    "502-html": _always("<html><h1>502 Bad Gateway</h1></html>", 502, mimetype="text/html"),
    "503-json": _always(json.dumps({"error": "UNKNOWN", "message": "try later"}), 503),
    "html": _always("<html>Welcome to the hotel's network</html>", 200, mimetype="text/html"),
    "empty": _always("", 200),
    "truncated": cut(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"jobs": [{"uuid": "123e4'),
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
    "no-such-task": lambda _s, _r: as_error("NO_SUCH_TASK", "No such task."),
    "api-error": lambda _s, _r: as_error("API_INVALID_REQUEST", "The request is wrong."),
    "redirect": _redirect,
    "reset": cut(reset=True),
    "closed": cut(),
    "garbage": cut(b"\x16\x03\x01 no HTTP at all\r\n\r\n"),
    "hang": hang,
    "drip": _drip,
}


# Faults of the file server alone: it has the content, and does not hand it out as it should.

FileFault = Callable[[Service, Request, bytes], Response]


def version_of(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _raw(headers: str, *, share: float, stay: bool = False, announced: float = 1.0) -> FileFault:
    """Send these headers and a share of the content, then end the connection, or say no more."""

    def fault(simulator: Service, request: Request, content: bytes) -> Response:
        # In a second attempt, of what is left: as a line that is cut again and again.
        ranges = "{range}" in headers
        start = int(request.headers.get("Range", "bytes=0-")[6:].partition("-")[0]) if ranges else 0
        rest = content[start:]
        filled = headers.format(
            code="206 Partial Content" if start else "200 OK",
            length=int(len(rest) * announced),
            version=version_of(content),
            range=f"Content-Range: bytes {start}-{len(content) - 1}/{len(content)}\r\n" if start else "",
        )
        connection: socket.socket = request.environ["werkzeug.socket"]
        connection.sendall(filled.encode() + b"\r\n" + rest[: int(len(rest) * share)])
        if stay:
            simulator.released.wait(300)
        return cut()(simulator, request)

    return fault


def _moved(target: Callable[[Service, Request], str]) -> FileFault:
    return lambda simulator, request, _content: Response("", 302, headers={"Location": target(simulator, request)})


def _on_localhost(_simulator: Service, request: Request) -> str:
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
