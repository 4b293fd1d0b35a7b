# SPDX-License-Identifier: GPL-3.0-or-later
"""The three free calls of the service (status, download list, balance) and the fetching of a result file.

A client belongs to one thread; only `abort` may be called from another. `requests` is imported with this module, so
import it where 100 ms do not matter. The environment's proxies and CA bundle are honoured (`requests` reads them),
TLS is always verified, and a redirect is never followed with the API key.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool
import urllib3.exceptions
import urllib3.util.connection

from . import answers
from .errors import Aborted, BadAnswer, LinkExpired, ServiceError, Unreachable
from .keys import Secret, is_loopback, shown

LARGEST_ANSWER = 8 * 1024 * 1024
MOST_REDIRECTS = 5
_CHUNK = 16 * 1024
"""Bytes read at a time. Of a connection that breaks off, the last of them are lost, and a slow one brings them late."""
_LINK_REFUSED = (400, 401, 403, 410)
"""What file servers answer to a link whose time is over: mostly 403, Google's 400."""
_CUT_SHORT = "The call was cut short."
_BROKE_OFF = "The connection broke off before the whole answer had arrived."


@dataclass(frozen=True)
class Connection:
    """Where and as whom to ask. `address` comes from `keys.service_address`; timeouts are seconds of silence."""

    address: str
    api_key: Secret
    connect_timeout: float = 10.0
    read_timeout: float = 20.0


@dataclass(frozen=True)
class Content:
    """A result file on its way: the bytes from `start` on, of `size` in all (None where that was not announced).

    `version` is what the file server calls this very content: its ETag or its date. It is "" where the content cannot
    be gone on with after a break: the server does not say, or packs it.
    """

    start: int
    size: int | None
    version: str
    pieces: Iterator[bytes]


class Client:
    """Asks the service. Every method blocks, and raises a `ServiceError` where no usable answer came."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._sockets = _Sockets()
        self._abortion = threading.Event()
        self._api = _session(self._sockets)
        # A session of its own for files, so that nothing of the API's (cookies, the key) reaches the file host.
        self._files = _session(self._sockets)

    def status(self, subscription_key: Secret) -> tuple[answers.Job, ...]:
        """The jobs of a task; empty while the service lists none."""
        body = {"subscription_key": subscription_key.reveal()}
        return answers.jobs(self._call("POST", "/status", body, subscription_key))

    def download_list(self, task_uuid: str) -> tuple[answers.ResultFile, ...]:
        """The files of a task. Their links are short-lived: ask at each use."""
        return answers.files(self._call("POST", "/download", {"task_uuid": task_uuid}))

    def balance(self) -> float:
        """The account's credits: the free way to test an API key."""
        return answers.balance(self._call("GET", "/check_balance"))

    @contextmanager
    def fetch(self, file: answers.ResultFile, start: int = 0, version: str = "") -> Iterator[Content]:
        """The content of a result file; from byte `start` on where the file server still has that `version` of it.

        Sends no API key. Takes https, or http on loopback only, and so for each redirect. Raises LinkExpired for a
        link that is no longer good.
        """
        name = repr(shown(file.name, 60))
        headers = {"Range": f"bytes={start}-", "If-Range": version} if start and _is_version(version) else {}
        with self._following(file.url, headers, name) as response:
            if response.status_code == 200:
                yield Content(0, _announced_length(response), _version(response), self._pieces(response))
                return
            if response.status_code == 206:
                begun, size = _content_range(response)
                if headers and begun == start and _version(response) == version:
                    yield Content(start, size, version, self._pieces(response, expected=size - start))
                    return
            elif response.status_code in _LINK_REFUSED:
                raise LinkExpired(
                    response.status_code,
                    f"The file server refuses the link to {name} (HTTP {response.status_code}).",
                )
            elif response.status_code != 416:
                raise BadAnswer(
                    response.status_code,
                    f"The file server does not hand out {name} (HTTP {response.status_code}).",
                )
        if not headers:
            raise BadAnswer(response.status_code, f"The file server hands out only a part of {name}.")
        with self.fetch(file) as content:
            yield content

    def abort(self) -> None:
        """Cut short whatever call is under way in another thread, and refuse later ones. Does not wait."""
        self._sockets.close()
        self._abortion.set()

    @property
    def aborted(self) -> bool:
        return self._sockets.closed

    def pause(self, seconds: float) -> None:
        """Wait before another call. Raises Aborted when that is cut short."""
        if self._abortion.wait(seconds):
            raise Aborted(_CUT_SHORT)

    def _following(self, url: str, headers: dict[str, str], name: str) -> requests.Response:
        """The file server's answer after its redirects. The session that asks knows no key and no cookie of ours."""
        for _ in range(MOST_REDIRECTS + 1):
            if not (url.startswith("https://") or (url.startswith("http://") and is_loopback(url))):
                raise BadAnswer(200, f"The address given for {name} is not https; it was not asked.")
            response = self._sending("GET", url, self._files, None, headers)
            target = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or not target:
                return response
            response.close()
            try:
                url = urljoin(url, target)
            except ValueError:
                break
        raise BadAnswer(response.status_code, f"The file server sends us from one address to the next for {name}.")

    def _call(self, method: str, path: str, body: dict[str, str] | None = None, *secrets: Secret) -> dict[str, Any]:
        with self._sending(method, self.connection.address + path, self._api, body) as response:
            content = bytearray()
            size = _announced_length(response) or 0
            if size <= LARGEST_ANSWER:
                for piece in self._pieces(response, "service"):
                    content += piece
                    size = len(content)
                    if size > LARGEST_ANSWER:
                        break
            if size > LARGEST_ANSWER:
                raise BadAnswer(
                    response.status_code,
                    f"The service is in trouble: HTTP {response.status_code} with more than 8 MB, which was not read.",
                )
            return answers.read(
                response.status_code,
                bytes(content),
                response.headers.get("Retry-After"),
                time.time(),
                (self.connection.api_key, *secrets),
            )

    def _sending(
        self,
        method: str,
        url: str,
        session: requests.Session,
        body: dict[str, str] | None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        try:
            return session.request(
                method,
                url,
                json=body,
                headers=headers,
                auth=self._authorize if session is self._api else _no_auth,
                timeout=(self.connection.connect_timeout, self.connection.read_timeout),
                allow_redirects=False,
                stream=True,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._explained(error, "service" if session is self._api else "file server") from None

    def _pieces(
        self, response: requests.Response, whose: str = "file server", expected: int | None = None
    ) -> Iterator[bytes]:
        received = 0
        try:
            for piece in response.iter_content(_CHUNK):
                received += len(piece)
                yield piece
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._explained(error, whose) from None
        if expected is None:
            expected = _announced_length(response)
        if received == expected:
            return
        # Without an announced length, an answer cut short by `abort` looks like a whole one.
        if self.aborted:
            raise Aborted(_CUT_SHORT)
        # urllib3 before 2 lets an answer cut short pass, and none looks at the length that a Content-Range tells.
        if expected is not None:
            raise Unreachable("reset", _BROKE_OFF)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth=`, not as a header: with neither, `requests` would put a .netrc entry in its place.
        request.headers["Authorization"] = f"Bearer {self.connection.api_key.reveal()}"
        return request

    def _explained(self, error: Exception, whose: str) -> ServiceError:
        return Aborted(_CUT_SHORT) if self.aborted else unreachable(error, whose)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _announced_length(response: requests.Response) -> int | None:
    # The length is of what is sent, not of what it unpacks to.
    if "Content-Encoding" in response.headers:
        return None
    text = response.headers.get("Content-Length", "")
    # `isdecimal` alone lets other scripts' digits pass, and `int` refuses very many.
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _version(response: requests.Response) -> str:
    # A range is of what is sent: of packed content it says nothing about the bytes that we have.
    if "Content-Encoding" in response.headers:
        return ""
    # A weak ETag ("W/…") does not promise the same bytes.
    tag = response.headers.get("ETag", "")
    version = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
    return version if _is_version(version) else ""


def _is_version(text: str) -> bool:
    """Whether it can be sent back in a header."""
    return bool(text) and text.isascii() and text.isprintable()


def _content_range(response: requests.Response) -> tuple[int, int]:
    """The first byte of a partial answer, and the size of the whole; (-1, -1) where it does not tell both."""
    found = re.fullmatch(r"bytes ([0-9]{1,19})-[0-9]{1,19}/([0-9]{1,19})", response.headers.get("Content-Range", ""))
    return (int(found[1]), int(found[2])) if found else (-1, -1)


def unreachable(error: BaseException, whose: str = "service") -> Unreachable:
    """What kept an HTTP answer from arriving, found in the chain of exceptions below `error`."""
    chain = list(_chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    if has(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return Unreachable("proxy", "The proxy cannot be reached or refuses; check HTTPS_PROXY or the system's proxy.")
    if has(requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError):
        untrusted = any(isinstance(link, ssl.SSLCertVerificationError) for link in chain)
        return Unreachable(
            "tls",
            f"The {whose}'s certificate is not trusted; a studio proxy's own CA goes into REQUESTS_CA_BUNDLE."
            if untrusted
            else "The secure connection (TLS) failed.",
        )
    if has(requests.exceptions.InvalidSchema, urllib3.exceptions.URLSchemeUnknown):
        # Our own addresses are http or https.
        return Unreachable("proxy", "The proxy's kind is not supported here; check HTTPS_PROXY and ALL_PROXY.")
    if has(requests.exceptions.InvalidProxyURL):
        return Unreachable("proxy", "The proxy's address in the environment cannot be right; check HTTPS_PROXY.")
    if has(requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError):
        return Unreachable("dns", "The address of the service, or of the proxy in HTTPS_PROXY, cannot be right.")
    if has(socket.gaierror) or "NameResolutionError" in {type(link).__name__ for link in chain}:
        return Unreachable("dns", f"The {whose}'s host name was not found (DNS); check the network connection.")
    if has(ConnectionRefusedError):
        return Unreachable("refused", f"The {whose}'s host refused the connection.")
    # By inheritance, a NewConnectionError is a ConnectTimeoutError, whatever kept the connection from being made.
    if has(requests.exceptions.ConnectTimeout) or (has(urllib3.exceptions.NewConnectionError) and has(TimeoutError)):
        return Unreachable("timeout", f"The {whose}'s host did not answer in time; check the network connection.")
    if has(requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        return Unreachable("timeout", f"The {whose} took the question but did not answer in time.")
    if has(ConnectionResetError, BrokenPipeError, urllib3.exceptions.ProtocolError):
        return Unreachable("reset", _BROKE_OFF)
    if type(error) is OSError and error.errno is None and "CA certificate" in str(error):
        return Unreachable("tls", "The file named by REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE is not there.")
    return Unreachable("connection", f"The connection to the {whose} failed ({type(error).__name__}).")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and all it was made of: causes, contexts, and the ones urllib3 keeps in `args` and `reason`."""
    waiting, seen = [error], set()
    while waiting:
        link = waiting.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
        waiting += [i for i in inner if isinstance(i, BaseException)]


class _Sockets:
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
    # TLS through a TLS proxy comes as urllib3's wrapper around a socket.
    while not isinstance(sock, socket.socket):
        sock = sock.socket
    with suppress(OSError):
        # The plain socket's method, also under TLS: it wakes the reader without touching the TLS state.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Session(requests.Session):
    """A session for which there are no redirects. The usual one, even told not to follow, reads their whole body."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002
        return None


def _session(sockets: _Sockets) -> requests.Session:
    session = _Session()
    adapter = _Adapter(sockets)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # Compressed answers could unpack to any size; these are small.
    session.headers["Accept-Encoding"] = "identity"
    session.headers["User-Agent"] = f"rodin-blender {requests.utils.default_user_agent()}"
    return session


def _abortable(kind: Any, sockets: _Sockets) -> Any:
    """A kind of urllib3's connection that is known to `sockets` from before it connects until it is closed."""

    class Abortable(kind):  # type: ignore[misc]
        _early: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            sock = _connected(self, sockets)
            # A copy for the way to the proxy and through the TLS handshake, which takes the descriptor from `sock`.
            self._early = sock.dup()
            sockets.add(self._early)
            return sock

        def connect(self) -> None:
            try:
                super().connect()
                sockets.add(self.sock)
            finally:
                if self._early is not None:
                    self._early.close()

    return Abortable


def _connected(connection: Any, sockets: _Sockets) -> socket.socket:
    """What urllib3's own `_new_conn` does, with each socket known to `sockets` before it connects.

    On Linux an abort then ends the connecting at once, elsewhere the connect timeout does.
    """
    try:
        host, family = connection._dns_host.strip("[]"), urllib3.util.connection.allowed_gai_family()
        found = socket.getaddrinfo(host, connection.port, family, socket.SOCK_STREAM)
    except UnicodeError:
        raise urllib3.exceptions.LocationParseError(connection.host) from None
    except socket.gaierror as error:
        raise urllib3.exceptions.NewConnectionError(connection, "The name was not found.") from error
    failure: OSError | None = None
    for family, kind, protocol, _, address in found:
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            if isinstance(connection.timeout, (int, float)):
                sock.settimeout(connection.timeout)
            if connection.source_address:
                sock.bind(connection.source_address)
            sockets.add(sock)
            if sockets.closed:
                raise ConnectionAbortedError
            sock.connect(address)
            return sock
        except OSError as error:
            failure = error
            if sock:
                sock.close()
    if isinstance(failure, TimeoutError):
        raise urllib3.exceptions.ConnectTimeoutError(connection, "The time to connect ran out.") from failure
    raise urllib3.exceptions.NewConnectionError(connection, "No connection could be made.") from failure


class _Adapter(requests.adapters.HTTPAdapter):
    """The usual adapter, whose connections register themselves with a `_Sockets`."""

    def __init__(self, sockets: _Sockets) -> None:
        class PlainPool(urllib3.connectionpool.HTTPConnectionPool):
            ConnectionCls = _abortable(urllib3.connection.HTTPConnection, sockets)

        class TlsPool(urllib3.connectionpool.HTTPSConnectionPool):
            ConnectionCls = _abortable(urllib3.connection.HTTPSConnection, sockets)

        self._pools = {"http": PlainPool, "https": TlsPool}
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager
