# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of `requests` by which a client asks: no redirect is followed, and another thread can end a call."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool

from .keys import is_loopback

SEND_BUFFER = 128 * 1024
"""Bytes. A line with 0.1 s of delay still takes more than a megabyte a second."""


class Sockets:
    """The connections a client has open, so that another thread can end a call that waits on one.

    Without a lock, since `close` is called from Blender's main thread: a socket is first added, then `closed` is
    read; `close` first sets `closed`, then reads the sockets. One of the two sees the other.
    """

    def __init__(self) -> None:
        self._open: tuple[socket.socket, ...] = ()
        self.closed = False

    def add(self, sock: socket.socket | None) -> None:
        if sock is not None:
            self._open = (*(s for s in self._open if s is not sock and s.fileno() != -1), sock)
            if self.closed:
                _shut(sock)

    def close(self) -> None:
        self.closed = True
        for sock in self._open:
            _shut(sock)


def _shut(sock: Any) -> None:
    with suppress(OSError):
        # The plain socket's method, also under TLS: it wakes the reader without touching the TLS state.
        socket.socket.shutdown(_plain(sock), socket.SHUT_RDWR)


def _plain(sock: Any) -> socket.socket:
    # TLS through a TLS proxy comes as urllib3's wrapper around a socket.
    while not isinstance(sock, socket.socket):
        sock = sock.socket
    return sock


def be_patient(sock: Any, silence: float) -> None:
    """Let a connection that stands be silent for so many seconds, until then it was the time to connect.

    What the system holds ready to send is kept small. Megabytes of it would count as sent long before a slow line has
    taken them, and the time to wait for the answer would run meanwhile.
    """
    sock.settimeout(silence)
    with suppress(OSError):
        _plain(sock).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


class _Session(requests.Session):
    """A session that follows no redirect, and reaches this computer itself past all proxies."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        # The usual session, even told not to follow a redirect, reads its whole body.
        return None

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        # A proxy would get to see what http:// does not encrypt, the API key with it, and has another loopback.
        return {**settings, "proxies": {}} if is_loopback(url) else settings


def session(sockets: Sockets, connected: Callable[[Any], None] | None = None) -> requests.Session:
    """A session whose connections are known to `sockets`.

    `connected` is called with the socket of each connection when it stands, the way through a proxy and TLS included,
    right before the first byte of a request leaves by it.
    """
    made = _Session()
    adapter = _Adapter(sockets, connected)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    # Compressed answers could unpack to any size; these are small.
    made.headers["Accept-Encoding"] = "identity"
    made.headers["User-Agent"] = f"rodin-blender {requests.utils.default_user_agent()}"
    return made


def _abortable(kind: Any, sockets: Sockets, connected: Callable[[Any], None] | None) -> Any:
    """A kind of urllib3's connection that is known to `sockets` from when it is connected until it is closed.

    The connecting itself ends by the connect timeout: what urllib3 connects is not to be had before.
    """

    class Abortable(kind):  # type: ignore[misc]
        _early: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            sock: socket.socket = super()._new_conn()
            # A copy for the way to the proxy and through the TLS handshake, which takes the descriptor from `sock`.
            self._early = sock.dup()
            sockets.add(self._early)
            return sock

        def connect(self) -> None:
            if sockets.closed:
                raise ConnectionAbortedError
            try:
                super().connect()
                sockets.add(self.sock)
            finally:
                if self._early is not None:
                    self._early.close()
            if sockets.closed:
                raise ConnectionAbortedError
            if connected is not None:
                connected(self.sock)

    return Abortable


class _Adapter(requests.adapters.HTTPAdapter):
    """The usual adapter, whose connections register themselves with a `Sockets`."""

    def __init__(self, sockets: Sockets, connected: Callable[[Any], None] | None) -> None:
        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = _abortable(urllib3.connection.HTTPConnection, sockets, connected)

        class TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = _abortable(urllib3.connection.HTTPSConnection, sockets, connected)

        self._pools = {"http": PlainPool, "https": TlsPool}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
