"""A port before the simulator: what comes is passed on, or meets a fault of the line."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

from tools.testing.cuts import Handle


class Gateway:
    """Passes connections on to a port of this machine, unless there is a `fault` to meet them.

    With `tls` it speaks TLS to those who come. As a proxy it takes their CONNECT first.
    """

    def __init__(self, target: int, tls: ssl.SSLContext | None = None, *, proxy: bool = False) -> None:
        self.tls = tls
        self._target = target
        self._proxy = proxy
        self._fault: Handle | None = None
        self._connections: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._accept()

    def strike(self, fault: Handle) -> None:
        """From now on each connection meets this, and those that are open end."""
        self._fault = fault
        self._cut_open()

    def refuse(self) -> None:
        """Listen no more: the port is closed."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._cut_open()

    def fill(self) -> None:
        """Let nobody in: the queue of those who wait to be accepted is full, and the next hang in connecting."""
        self.refuse()
        self._listening = socket.create_server(("127.0.0.1", self.port), backlog=0)
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._connections.append(waiting)

    def relieve(self) -> None:
        self._fault = None
        self.refuse()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._accept()

    def _accept(self) -> None:
        def accept(listening: socket.socket) -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.settimeout(60)
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, args=(self._listening,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._connections.append(connection)
        with suppress(OSError), connection:
            if self._fault:
                self._fault(connection)
                return
            if self._proxy:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            if self.tls:
                with self.tls.wrap_socket(connection, server_side=True) as wrapped:
                    self._connections.append(wrapped)
                    self._pass_on(wrapped)
            else:
                self._pass_on(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._target), 10) as target:
            target.settimeout(60)
            self._connections.append(target)
            back = threading.Thread(target=_pump, args=(target, connection), daemon=True)
            back.start()
            _pump(connection, target)
            back.join(60)

    def _cut_open(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with suppress(OSError):
        socket.socket.shutdown(target, socket.SHUT_WR)
