# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls of the service, three of them free (status, download list, balance), one paid (submit), and the fetching
of a result file.

A client belongs to one thread; only `abort` may be called from another. `requests` is imported with this module, so
import it where 100 ms do not matter. The environment's proxies and CA bundle are honoured (`requests` reads them),
TLS is always verified, and a redirect is never followed with the API key.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3.exceptions

from ..texts.text import Text
from . import answers, transport
from .connection import Connection
from .errors import (
    Aborted,
    BadAnswer,
    LinkExpired,
    NotAuthorized,
    NotSent,
    Refused,
    ServiceError,
    Unreachable,
)
from .keys import Secret, is_loopback, printable
from .multipart import Multipart, Picture, Unreadable
from .trouble import BROKE_OFF, FILE_SERVER, SERVICE, unreachable

LARGEST_ANSWER = 8 * 1024 * 1024
LARGEST_SUBMIT_ANSWER = 1024 * 1024
"""Bytes of the answer to a submission, which has one or two kilobytes."""
MAX_REDIRECTS = 5
_CHUNK = 16 * 1024
"""Bytes read at a time. Of a connection that breaks off, the last of them are lost, and a slow one brings them late."""
_LINK_REFUSED = (400, 401, 403, 410)
"""What file servers answer to a link whose time is over: mostly 403, Google's 400."""
LONGEST_SILENCE = 120.0
"""Seconds that a submission waits: for the line to take more of it, and for the answer."""


@dataclass(frozen=True)
class Content:
    """A result file on its way: the bytes from `start` on, of `size` in all (None where that was not announced).

    `version` is what the file server calls this very content: its ETag or its date. It is "" where the content cannot
    be gone on with after a break: the server does not say, or packs it.
    """

    start: int
    size: int | None
    version: str
    chunks: Iterator[bytes]


class Client:
    """Asks the service. Every method blocks, and raises a `ServiceError` where no usable answer came.

    NotAuthorized is raised for a key that is not accepted at all, not for a task that the key may not see.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._sockets = transport.Sockets()
        self._route = transport.Route(connection)
        self._abort_event = threading.Event()
        self._api = transport.session(self._route, self._sockets)
        # A session of its own for files, so that nothing of the API's (cookies, the key) reaches the file host.
        self._files = transport.session(self._route, self._sockets)

    def status(self, subscription_key: Secret) -> tuple[answers.Job, ...]:
        """The jobs of a task; empty while the service lists none."""
        body = {"subscription_key": subscription_key.reveal()}
        return answers.jobs(self._call_about_task("/status", body, subscription_key))

    def download_list(self, task_uuid: str) -> tuple[answers.ResultFile, ...]:
        """The files of a task. Their links are short-lived: ask at each use."""
        return answers.files(self._call_about_task("/download", {"task_uuid": task_uuid}))

    def balance(self) -> float:
        """The account's credits: the free way to test an API key."""
        return answers.balance(self._call("GET", "/check_balance"))

    def submit(
        self,
        path: str,
        fields: Sequence[tuple[str, str]],
        pictures: Sequence[Picture] = (),
        report: Callable[[int, int], None] = lambda _sent, _total: None,
        timeout: float = LONGEST_SILENCE,
        begin: Callable[[], None] = lambda: None,
    ) -> answers.RawAnswer:
        """Submit a generation, once, and pay for it: on a fresh connection, without redirect or retry.

        `path` is that of the paid call, below the service's address. `timeout` is in seconds of silence: however slow
        the line is, the upload goes on. Returns the answer as it came, or as much of it as came; `answers.read` and
        `submission.accepted` make sense of it. `report` is told how many bytes have left, of how many. `begin` is
        called right before the first byte leaves, and may raise NotSent to keep it.
        Raises NotSent where surely no byte of the request has left. By any other ServiceError the service may have it.
        """
        connected = threading.Event()

        def stands(sock: Any) -> None:
            begin()
            connected.set()
            transport.set_timeout(sock, timeout)

        try:
            with (
                Multipart(fields, pictures, report) as body,
                transport.session(self._route, self._sockets, stands) as session,
                session.post(
                    self.connection.address + path,
                    data=body,
                    headers={"Content-Type": body.content_type},
                    auth=self._authorize,
                    timeout=(self.connection.connect_timeout, timeout),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                return self._read_raw(response, timeout)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            failure = self._translated(error, SERVICE, self.connection.address)
            if not connected.is_set():
                if isinstance(error, Unreadable):
                    text = Text("The picture {name} cannot be read. Choose it again.", name=str(error))
                    raise NotSent("picture", text) from None
                raise NotSent(getattr(failure, "cause", "aborted"), failure.trouble) from None
            if body.unreadable:
                raise Unreachable("connection", "A picture could not be read to its end while it was sent.") from None
            if body.sent < len(body) and getattr(failure, "cause", "") == "timeout":
                raise Unreachable("timeout", "The line stood still before all had been sent.") from None
            raise failure from None

    @contextmanager
    def fetch(self, file: answers.ResultFile, start: int = 0, version: str = "") -> Iterator[Content]:
        """The content of a result file; from byte `start` on where the file server still has that `version` of it.

        Sends no API key. Takes https, or http on loopback only, and so for each redirect. Raises LinkExpired for a
        link that is no longer good.
        """
        name = repr(printable(file.name, 60))
        headers = {"Range": f"bytes={start}-", "If-Range": version} if start and _is_version(version) else {}
        with self._follow_redirects(file.url, headers, name) as response:
            if response.status_code == 200:
                yield Content(0, _announced_length(response), _version(response), self._chunks(response))
                return
            if response.status_code == 206:
                first, size = _content_range(response)
                if headers and first == start and _version(response) == version:
                    yield Content(start, size, version, self._chunks(response, expected=size - start))
                    return
            elif response.status_code in _LINK_REFUSED:
                raise LinkExpired(
                    response.status_code,
                    Text(
                        "The file server refuses the link to {name} (HTTP {status}).",
                        name=name,
                        status=response.status_code,
                    ),
                )
            elif response.status_code != 416:
                raise BadAnswer(
                    response.status_code,
                    Text(
                        "The file server does not hand out {name} (HTTP {status}).",
                        name=name,
                        status=response.status_code,
                    ),
                )
        if not headers:
            text = Text("The file server hands out only a part of {name}.", name=name)
            raise BadAnswer(response.status_code, text)
        with self.fetch(file) as content:
            yield content

    def abort(self) -> None:
        """Cut short whatever call is under way in another thread, and refuse later ones. Does not wait."""
        self._sockets.close()
        self._abort_event.set()

    @property
    def aborted(self) -> bool:
        return self._sockets.closed

    def pause(self, seconds: float) -> None:
        """Wait before another call. Raises Aborted when that is cut short."""
        if self._abort_event.wait(seconds):
            raise Aborted()

    def _follow_redirects(self, url: str, headers: dict[str, str], name: str) -> requests.Response:
        """The file server's answer after its redirects. The session that asks knows no key and no cookie of ours."""
        for _ in range(MAX_REDIRECTS + 1):
            if not (url.startswith("https://") or (url.startswith("http://") and is_loopback(url))):
                text = Text("The address given for {name} is not https; it was not asked.", name=name)
                raise BadAnswer(200, text)
            response = self._request("GET", url, self._files, None, headers)
            target = response.headers.get("Location")
            if response.status_code not in (301, 302, 303, 307, 308) or not target:
                return response
            response.close()
            try:
                url = urljoin(url, target)
            except ValueError:
                break
        text = Text("The file server sends us from one address to the next for {name}.", name=name)
        raise BadAnswer(response.status_code, text)

    def _call_about_task(self, path: str, body: dict[str, str], *secrets: Secret) -> dict[str, Any]:
        """As `_call`. The balance, which is free, tells whether a refusal is for the API key or for this task alone.

        Where the balance does not come, that trouble is raised: nothing is known of the key then.
        """
        try:
            return self._call("POST", path, body, *secrets)
        except NotAuthorized as error:
            refused = error
        if refused.is_the_keys:
            raise refused
        try:
            self._call("GET", "/check_balance")
        except Refused as error:
            text = Text("The service does not tell whether it accepts the API key ({code}).", code=error.code)
            raise BadAnswer(refused.http_status, text) from None
        raise refused.of_task()

    def _call(self, method: str, path: str, body: dict[str, str] | None = None, *secrets: Secret) -> dict[str, Any]:
        address, sent = self.connection.address + path, (self.connection.api_key, *secrets)
        with self._request(method, address, self._api, body) as response:
            content = bytearray()
            size = _announced_length(response) or 0
            if size <= LARGEST_ANSWER:
                for piece in self._chunks(response, SERVICE):
                    content += piece
                    size = len(content)
                    if size > LARGEST_ANSWER:
                        break
            if size > LARGEST_ANSWER:
                text = "The service is in trouble: its answer has more than 8 MB, which were not read (HTTP {status})."
                raise BadAnswer(response.status_code, Text(text, status=response.status_code))
            return answers.read(
                response.status_code,
                bytes(content),
                response.headers.get("Retry-After"),
                time.time(),
                sent,
                answers.redirect_target(address, response.headers.get("Location", ""), path, sent),
            )

    def _read_raw(self, response: requests.Response, longest: float) -> answers.RawAnswer:
        """The answer, or what came of one that breaks off or does not end: it may hold the key of a paid task."""
        body, end = bytearray(), time.monotonic() + longest
        with suppress(ServiceError):
            for piece in self._chunks(response, SERVICE, chunk=16):
                body += piece
                if len(body) > LARGEST_SUBMIT_ANSWER or time.monotonic() > end:
                    break
        return answers.RawAnswer(response.status_code, response.headers.get("Retry-After"), bytes(body))

    def _request(
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
            raise self._translated(error, SERVICE if session is self._api else FILE_SERVER, url) from None

    def _chunks(
        self,
        response: requests.Response,
        whose: Text = FILE_SERVER,
        expected: int | None = None,
        chunk: int = _CHUNK,
    ) -> Iterator[bytes]:
        received = 0
        try:
            for piece in response.iter_content(chunk):
                received += len(piece)
                yield piece
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._translated(error, whose) from None
        if expected is None:
            expected = _announced_length(response)
        if received == expected:
            return
        # Without an announced length, an answer cut short by `abort` looks like a whole one.
        if self.aborted:
            raise Aborted()
        # urllib3 before 2 lets an answer cut short pass, and none looks at the length that a Content-Range tells.
        if expected is not None:
            raise Unreachable("reset", BROKE_OFF)

    def _authorize(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth=`, not as a header: with neither, `requests` would put a .netrc entry in its place.
        request.headers["Authorization"] = f"Bearer {self.connection.api_key.reveal()}"
        return request

    def _translated(self, error: Exception, whose: Text, url: str = "") -> ServiceError:
        """What it means. With `url` for a request that may have met trouble on its way to there."""
        if self.aborted:
            return Aborted()
        with suppress(ValueError):  # A link that is no address has no proxy.
            proxy = self._route.proxy(url) if url else None
            return unreachable(error, whose, proxy, passed_proxy=self._route.passed_proxy)
        return unreachable(error, whose)


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
