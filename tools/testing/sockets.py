# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of a few lines, for what no proper one does."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress


@contextmanager
def serving(
    handle: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None, window: int = 0
) -> Iterator[str]:
    """A server on loopback that gives each connection, after its first bytes, to `handle`. Yields its root address.

    With `window` the system takes only about so many bytes ahead of what `handle` receives.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    if window:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connections: list[socket.socket] = []

    def serve_one(connection: socket.socket) -> None:
        with suppress(OSError):
            wrapped = tls.wrap_socket(connection, server_side=True) if tls else connection
            connections.append(wrapped)
            with wrapped:
                handle(wrapped)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.settimeout(20)
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        # On Linux a blocked accept ends by this, not by closing.
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in connections:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def closed_port() -> int:
    """One of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def letting_nobody_in() -> Iterator[int]:
    """The port of one who listens and accepts nobody: a connection to it hangs while it is made."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def answering(head: bytes, body: bytes = b"") -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + head + b"\r\n\r\n" + body)

    return handle


def hanging(before: bytes = b"") -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(before)
        # A request may come in several pieces, so it is silent until the other side has gone.
        while connection.recv(65536):
            pass

    return handle
