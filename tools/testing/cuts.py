# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that ends or falls silent at each moment of a call: what the server does, and what must be read."""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable

from tools.testing.sockets import hanging

Handle = Callable[[socket.socket], None]

BROKE_OFF, LATE = "broke off", "did not answer in time"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_OF_90 = HEAD + b"Content-Length: 90\r\n\r\n"


def said(content: bytes) -> Handle:
    """The request is read, this is sent, and the connection ends."""

    def handle(connection: socket.socket) -> None:
        _take_request(connection)
        connection.sendall(content)

    return handle


def _take_request(connection: socket.socket) -> None:
    """Read a whole request, in however many pieces it comes: a close before its end would reset the connection."""
    received = b""
    while b"\r\n\r\n" not in received and (piece := connection.recv(65536)):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
    left = int(length[1]) - len(body) if length else 0
    while left > 0 and (piece := connection.recv(65536)):
        left -= len(piece)


def after(count: int) -> Handle:
    """Closed after so many bytes of the request were read; the rest is never taken in."""
    return lambda connection: connection.recv(count) and None


def _reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


CUTS: dict[str, tuple[Handle, str]] = {
    "closed as soon as it is made": (lambda _connection: None, BROKE_OFF),
    "closed after half of the request": (after(60), BROKE_OFF),
    "closed after the whole request": (after(65536), BROKE_OFF),
    "reset after the request": (_reset, BROKE_OFF),
    "closed in the status line": (said(b"HTTP/1.1 2"), BROKE_OFF),
    "closed after the status line": (said(b"HTTP/1.1 200 OK\r\n"), "answer is empty"),
    "closed in the headers": (said(HEAD + b"Content-Le"), "answer is empty"),
    "closed before the body": (said(_OF_90), BROKE_OFF),
    "closed in the body": (said(_OF_90 + b'{"jobs": [{"uuid": "1'), BROKE_OFF),
    "closed in a body of chunks": (
        said(HEAD + b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"jobs": \r\n'),
        BROKE_OFF,
    ),
    "closed in a body without a length": (said(HEAD + b'\r\n{"jobs": [{"uuid": "1'), "not a JSON object"),
    "silent before the answer": (hanging(), LATE),
    "silent in the headers": (hanging(HEAD), LATE),
    "silent in the body": (hanging(_OF_90 + b'{"jobs"'), LATE),
}
