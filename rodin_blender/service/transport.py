# SPDX-License-Identifier: GPL-3.0-or-later
"""The sessions of `requests` by which a client asks: no redirect is followed, and another thread can end a call."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import requests
import requests.adapters
import requests.utils
import urllib3
import urllib3.connection
import urllib3.connectionpool

from . import proxies
from .certificates import Trust
from .connection import Connection
from .keys import Secret, is_loopback
from .proxies import Proxy

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


def set_timeout(sock: Any, silence: float) -> None:
    """Let a connection that stands be silent for so many seconds, until then it was the time to connect.

    What the system holds ready to send is kept small. Megabytes of it would count as sent long before a slow line has
    taken them, and the time to wait for the answer would run meanwhile.
    """
    sock.settimeout(silence)
    with suppress(OSError):
        _plain(sock).setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


class Route:
    """The way to a host: by which proxy, trusting whom.

    `passed_proxy` says of the last connection begun whether its proxy, if any, has let it through.
    """

    def __init__(self, connection: Connection) -> None:
        self.trust = Trust(connection.ca_file)
        self.program = connection.program
        self.passed_proxy = False
        self._proxy = connection.proxy

    def proxy(self, url: str) -> Proxy | None:
        """The proxy for an address: the one that was set, else the environment's, else the system's."""
        # A proxy would get to see what http:// does not encrypt, the API key with it, and has another loopback.
        if is_loopback(url) or requests.utils.should_bypass_proxies(url, no_proxy=None):
            return None
        if self._proxy:
            return Proxy(self._proxy, "the setting Proxy")
        found, scheme = getproxies(), urlsplit(url).scheme
        value = found.get(scheme) or found.get("all")
        names = [name for kind in (scheme, "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
        source = next((name for name in names if os.environ.get(name) == value), "the system's network settings")
        return Proxy(Secret(value), source) if value else None


class _Session(requests.Session):
    """A session that follows no redirect, and whose proxies are those of a `Route`."""

    def __init__(self, route: Route) -> None:
        super().__init__()
        self._route = route

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        # The usual session, even told not to follow a redirect, reads its whole body.
        return None

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:  # noqa: ARG002
        proxy = self._route.proxy(url)
        # What is trusted, the adapter's TLS context knows.
        address = {urlsplit(url).scheme: proxy.address} if proxy else {}
        return {"proxies": address, "stream": stream, "verify": True, "cert": None}


def session(route: Route, sockets: Sockets, connected: Callable[[Any], None] | None = None) -> requests.Session:
    """A session whose connections take a route and are known to `sockets`.

    `connected` is called with the socket of each connection when it stands, the way through a proxy and TLS included,
    right before the first byte of a request leaves by it.
    """
    made = _Session(route)
    adapter = _Adapter(route, sockets, connected)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    # Compressed answers could unpack to any size, and the service's are small as they are.
    made.headers["Accept-Encoding"] = "identity"
    made.headers["User-Agent"] = " ".join(
        word for word in ("rodin-blender", route.program, requests.utils.default_user_agent()) if word
    )
    return made


def _abortable(kind: Any, route: Route, sockets: Sockets, connected: Callable[[Any], None] | None) -> Any:
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

        def _tunnel(self) -> None:
            super()._tunnel()
            route.passed_proxy, route.trust.host = True, self._tunnel_host.strip("[]")

        def connect(self) -> None:
            if sockets.closed:
                raise ConnectionAbortedError
            # With a proxy, this is the proxy's host.
            route.passed_proxy, route.trust.host = False, self.host.strip("[]")
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
    """The usual adapter, whose connections take a route and register themselves with a `Sockets`."""

    def __init__(self, route: Route, sockets: Sockets, connected: Callable[[Any], None] | None) -> None:
        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = _abortable(urllib3.connection.HTTPConnection, route, sockets, connected)

        class TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = _abortable(urllib3.connection.HTTPSConnection, route, sockets, connected)

        self._route = route
        self._pools = {"http": PlainPool, "https": TlsPool}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if (request.url or "").startswith("https:"):
            self.poolmanager.connection_pool_kw["ssl_context"] = self._route.trust.context()
        return super().send(request, *args, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002
        # The TLS context knows whom to trust; the usual method has each connection trust the list of `certifi` alone.
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        # The usual method cannot send a password with letters beyond Latin-1.
        login = proxies.authorization(proxy)
        return {"Proxy-Authorization": login} if login else {}

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        context = self._route.trust.context()
        manager = super().proxy_manager_for(proxy, ssl_context=context, proxy_ssl_context=context, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
