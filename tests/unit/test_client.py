# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against real sockets: every trouble gets its name, the key stays with the service, calls can be ended."""

from __future__ import annotations

import gzip
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from rodin_blender.service.answers import ResultFile
from rodin_blender.service.client import LARGEST_ANSWER, Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import (
    Aborted,
    BadAnswer,
    LinkExpired,
    NotAuthorized,
    Refused,
    ServiceError,
    Throttled,
    Unreachable,
)
from rodin_blender.service.keys import Secret
from tests.unit.sockets import answering, closed_port, hanging, letting_nobody_in, serving
from tools.simulator import API_KEY, FAULTS, Simulator

KEY = Secret("a-subscription-key")
ROOT = Path(__file__).parents[2]
ENDLESS = 64 * 1024 * 1024


def client_of(address: str, *, key: str = API_KEY, timeout: float = 1.0) -> Client:
    return Client(Connection(address, Secret(key), 2.0, timeout))


def fetched(client: Client, file: ResultFile) -> bytes:
    with client.fetch(file) as content:
        return b"".join(content.chunks)


class Proxy:
    """An HTTP proxy: tunnels CONNECT, and passes plain requests on as they are to `upstream`.

    With `tunnel_to` all names are of that host, as for a proxy that alone knows what they mean.
    """

    def __init__(self, upstream: str = "", tunnel_to: str = "") -> None:
        self.upstream = upstream
        self.tunnel_to = tunnel_to
        self.heads: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        self.heads.append(head.decode("latin-1"))
        tunnel = head.startswith(b"CONNECT ")
        host, _, port = (self.tunnel_to or head.split()[1].decode() if tunnel else self.upstream).rpartition(":")
        with socket.create_connection((host, int(port)), 5) as other:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n") if tunnel else other.sendall(head)
            while True:
                # What TLS holds decrypted, `select` does not see.
                pending = isinstance(connection, ssl.SSLSocket) and connection.pending()
                ready = [connection] if pending else select.select([connection, other], [], [], 20)[0]
                for one in ready:
                    piece = one.recv(65536)
                    if not piece:
                        return
                    (other if one is connection else connection).sendall(piece)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context for 127.0.0.1 and service.invalid, and the path of the CA bundle that trusts it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "service.invalid").configure_cert(context)
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(bundle)
    return context, str(bundle)


def told(error: BaseException) -> str:
    """All that a log or a report could show of an error."""
    return f"{error} {error!r} {error.args} {''.join(traceback.format_exception(error))}"


# What the service's troubles are called.

TROUBLES: dict[str, tuple[type[ServiceError], dict[str, object]]] = {
    "401": (BadAnswer, {"http_status": 401}),
    "401-bare": (BadAnswer, {"http_status": 401}),
    "401-html": (BadAnswer, {"http_status": 401}),
    "403": (BadAnswer, {"http_status": 403}),
    "403-html": (BadAnswer, {"http_status": 403}),
    "403-json": (BadAnswer, {"http_status": 403}),
    "permission-denied-403": (Refused, {"code": "PERMISSION_DENIED", "detail": "No permission."}),
    "permission-denied": (Refused, {"code": "PERMISSION_DENIED", "detail": "No permission."}),
    "user-not-found": (NotAuthorized, {"code": "USER_NOT_FOUND"}),
    "group-not-found": (NotAuthorized, {"code": "GROUP_NOT_FOUND"}),
    "404": (BadAnswer, {"http_status": 404}),
    "429": (Throttled, {"retry_after": None}),
    "429-seconds": (Throttled, {"retry_after": 3.0}),
    "429-date": (Throttled, {"retry_after": pytest.approx(4.0, abs=1.5)}),
    "500": (BadAnswer, {"http_status": 500}),
    "502-html": (BadAnswer, {"http_status": 502}),
    "503-json": (BadAnswer, {"http_status": 503}),
    "html": (BadAnswer, {"http_status": 200}),
    "empty": (BadAnswer, {"http_status": 200}),
    "truncated": (Unreachable, {"cause": "reset"}),
    "not-json": (BadAnswer, {"http_status": 200}),
    "list": (BadAnswer, {"http_status": 200}),
    "bytes": (BadAnswer, {"http_status": 200}),
    "deep": (BadAnswer, {"http_status": 200}),
    "huge": (BadAnswer, {"http_status": 200}),
    "huge-chunked": (BadAnswer, {"http_status": 200}),
    "jobs-not-list": (BadAnswer, {"http_status": 200}),
    "job-without-status": (BadAnswer, {"http_status": 200}),
    "no-such-task": (Refused, {"code": "NO_SUCH_TASK", "detail": "No such task."}),
    "api-error": (Refused, {"code": "INVALID_REQUEST"}),
    "redirect": (BadAnswer, {"http_status": 302}),
    "reset": (Unreachable, {"cause": "reset"}),
    "closed": (Unreachable, {"cause": "reset"}),
    "garbage": (Unreachable, {"cause": "reset"}),
    "hang": (Unreachable, {"cause": "timeout"}),
}
NOT_TROUBLES = {"no-jobs", "jobs-missing"}
ENDED_BY_ABORT_ONLY = {"drip"}


def test_every_fault_of_the_simulator_has_an_expected_name():
    assert set(FAULTS) == TROUBLES.keys() | NOT_TROUBLES | ENDED_BY_ABORT_ONLY


@pytest.mark.parametrize("fault", TROUBLES)
def test_a_fault_is_named_tells_no_key_and_leaves_the_client_usable(simulator, client, fault):
    kind, attributes = TROUBLES[fault]
    key = simulator.add("waiting", faults=[fault])["jobs"]["subscription_key"]
    with pytest.raises(ServiceError) as caught:
        client.status(Secret(key))
    assert type(caught.value) is kind
    assert {name: getattr(caught.value, name) for name in attributes} == attributes
    assert API_KEY not in told(caught.value)
    assert key not in told(caught.value)
    assert str(caught.value).isprintable()
    assert [job.status for job in client.status(Secret(key))] == ["Waiting", "Waiting"]


MAY_BE_THE_KEYS = ("401", "401-bare", "403-json", "permission-denied", "permission-denied-403")
PROVES_NOTHING = ("401-html", "403", "403-html", "502-html", "api-error", "no-such-task", "reset", "429-seconds", "hang")


@pytest.mark.parametrize("fault", MAY_BE_THE_KEYS)
@pytest.mark.parametrize("path", ["status", "download"])
def test_the_balance_tells_whether_a_refusal_is_for_the_key(simulator, client, path, fault):
    call = {"status": lambda: client.status(KEY), "download": lambda: client.download_list("a-task")}[path]
    simulator.fail(path, fault, fault)
    with pytest.raises((BadAnswer, Refused)) as caught:
        call()
    assert "API key" not in str(caught.value) or "it accepts the API key" in str(caught.value)
    simulator.fail("check_balance", fault)
    with pytest.raises(NotAuthorized, match="does not accept the API key"):
        call()
    assert [asked.path for asked in simulator.requests] == [path, "check_balance"] * 2


@pytest.mark.parametrize("fault", PROVES_NOTHING)
def test_no_key_is_blamed_where_the_balance_does_not_come(simulator, client, fault):
    simulator.fail("status", "permission-denied")
    simulator.fail("check_balance", fault)
    with pytest.raises((BadAnswer, Unreachable, Throttled)) as caught:
        client.status(KEY)
    assert "does not accept" not in str(caught.value)


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - set(MAY_BE_THE_KEYS) - ENDED_BY_ABORT_ONLY))
def test_the_balance_is_asked_only_where_it_tells_something(simulator, client, fault):
    simulator.fail("status", fault)
    with suppress(ServiceError):
        client.status(KEY)
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("fault", sorted(NOT_TROUBLES))
def test_no_jobs_yet_is_no_trouble(simulator, client, fault):
    simulator.fail("status", fault)
    assert client.status(KEY) == ()


def test_the_three_calls_bring_what_the_service_says(simulator, client):
    task = simulator.add([[(0.0, "Done")], [(0.0, "Waiting")]], files={"a.glb": b"x", "../b": b"y"})
    jobs = client.status(Secret(task["jobs"]["subscription_key"]))
    assert [(job.uuid, job.status, job.queue_length) for job in jobs] == [
        (task["jobs"]["uuids"][0], "Done", None),
        (task["jobs"]["uuids"][1], "Waiting", 3),
    ]
    files = client.download_list(task["uuid"])
    assert [(file.name, fetched(client, file)) for file in files] == [("a.glb", b"x"), ("../b", b"y")]
    assert client.balance() == 12.5
    with pytest.raises(Refused, match="NO_SUCH_TASK"):
        client.status(KEY)
    with pytest.raises(NotAuthorized):
        client_of(simulator.url, key="another").balance()


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0), ("soon", None), ("\xb2", None)]
)
def test_the_retry_after_header_is_passed_on(header, seconds):
    head = f"429 Slow Down\r\nRetry-After: {header}\r\nContent-Length: 0".encode("latin-1")
    with serving(answering(head)) as address, pytest.raises(Throttled) as caught:
        client_of(address).balance()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    "head",
    [
        b"200 OK\r\nContent-Length: \xb2",
        b"200 OK\r\nContent-Length: -5",
        b"200 OK\r\nContent-Length: " + b"9" * 5000,
        b"200 OK\r\nContent-Length: 3, 4",
        b"200 OK\r\nContent-Length: \r\nTransfer-Encoding: chunked",
        b"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2",
        b"200 OK\r\nTransfer-Encoding: chunked\r\n: nameless",
        b"999 What",
        b"abc What",
        b"302 Found\r\nLocation: http://[",
        b"302 Found\r\nLocation: \xff\xfe",
        b"200 OK\r\n" + b"X-Many: 1\r\n" * 500 + b"X: 1",
        b"200 OK\r\nX-Long: " + b"x" * 100_000,
        b"200 OK\r\nContent-Type: text/html; charset=\xff\r\nSet-Cookie: \xff=\0; Path=\xff; Max-Age=x",
    ],
)
def test_headers_of_any_form_end_in_a_service_error(head):
    with serving(answering(head, b"\xff\xff\r\n")) as address, pytest.raises(ServiceError) as caught:
        client_of(address).balance()
    assert type(caught.value) in (BadAnswer, Unreachable)


# Connections that do not come about.


def test_a_port_without_a_service_is_refused():
    with pytest.raises(Unreachable) as caught:
        client_of(f"http://127.0.0.1:{closed_port()}").balance()
    assert caught.value.cause == "refused"


@pytest.mark.parametrize("address", ["https://nosuch.invalid/api", "https://" + "x" * 64 + ".invalid", "https://."])
def test_a_host_that_does_not_exist_is_a_dns_matter(address):
    with pytest.raises(Unreachable) as caught:
        client_of(address).balance()
    assert caught.value.cause == "dns"


def test_a_server_that_speaks_no_tls_is_a_tls_matter(simulator):
    with pytest.raises(Unreachable) as caught:
        client_of(simulator.url.replace("http://", "https://")).balance()
    assert caught.value.cause == "tls"


def test_a_server_that_never_shakes_hands_times_out():
    with serving(hanging()) as address, pytest.raises(Unreachable) as caught:
        Client(Connection(address.replace("http://", "https://"), Secret(API_KEY), 0.5, 0.5)).balance()
    assert caught.value.cause == "timeout"


# Proxies.


def test_the_environments_proxies_are_used(simulator, authority, monkeypatch):
    context, bundle = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    plain = Proxy(simulator.root.removeprefix("http://"))
    with Simulator(tls=context) as secure, serving(plain) as address:
        monkeypatch.setenv("HTTP_PROXY", address.replace("//", "//user:pass@"))
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert client_of("http://service.invalid/api/v2").balance() == 12.5
        plain.tunnel_to = secure.root.removeprefix("https://")
        assert client_of("https://service.invalid/api/v2").balance() == 12.5
        monkeypatch.setenv("NO_PROXY", "service.invalid")
        with pytest.raises(Unreachable, match="DNS"):
            client_of("https://service.invalid/api/v2").balance()
    through, tunnel = plain.heads
    assert through.startswith("GET http://service.invalid/api/v2/check_balance ")
    assert "Proxy-Authorization: Basic" in through
    assert tunnel.startswith("CONNECT service.invalid:443 ")
    assert API_KEY not in tunnel


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_computer_itself_is_reached_past_proxies_which_would_see_the_key(simulator, monkeypatch, variable, host):
    proxy = Proxy(simulator.root.removeprefix("http://"))
    with serving(proxy) as address:
        monkeypatch.setenv(variable, address)
        client = client_of(simulator.url.replace("127.0.0.1", host))
        assert client.balance() == 12.5
        (file,) = client.download_list(simulator.add(files={"a.glb": b"x"})["uuid"])
        assert fetched(client, file) == b"x"
    assert proxy.heads == []


def test_this_computer_itself_is_reached_past_https_proxies(authority, monkeypatch):
    context, bundle = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    proxy = Proxy()
    with Simulator(tls=context) as secure, serving(proxy) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        assert client_of(secure.url).balance() == 12.5
    assert proxy.heads == []


# The key stays with the service.


def test_a_redirect_of_the_service_is_not_followed_and_one_of_the_file_host_without_the_key(simulator, client):
    simulator.fail("status", "redirect!")
    with pytest.raises(BadAnswer, match=f"redirects to {simulator.root}/api/v2/check_balance "):
        client.status(KEY)
    assert [asked.path for asked in simulator.requests] == ["status"]
    # To a call that would need the key.
    simulator.fail("files", "redirect!")
    with pytest.raises(LinkExpired, match="HTTP 401"):
        fetched(client, ResultFile("a.glb", f"{simulator.root}/files/x/0"))
    assert [(a.path, a.authorized) for a in simulator.requests[1:]] == [("files", False), ("check_balance", False)]


def test_a_redirect_to_another_host_brings_the_file_without_key_and_cookies(simulator, client):
    task = simulator.add(files={"a.glb": b"x" * 1000})
    (file,) = client.download_list(task["uuid"])
    simulator.fail("files", "to-another-host")
    assert fetched(client, file) == b"x" * 1000
    assert [(a.host, a.authorized) for a in simulator.asked("files")] == [("127.0.0.1", False), ("localhost", False)]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_cookies_of_one_file_host_do_not_reach_the_next(simulator, code):
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")

    with serving(handle) as there:
        target = there.replace("127.0.0.1", "localhost").encode()
        head = b"%d Moved\r\nSet-Cookie: a=s3cret; Path=/\r\nContent-Length: 0\r\nLocation: %s/b?c=d" % (code, target)
        with serving(answering(head)) as here:
            client = client_of(simulator.url)
            client.balance()
            with client.fetch(ResultFile("a", f"{here}/a"), 5, '"v"') as content:
                assert b"".join(content.chunks) == b"x"
    assert heads[0].startswith(b"GET /b?c=d ")
    assert b"Range: bytes=5-" in heads[0] and b'If-Range: "v"' in heads[0], "the wish goes along"
    assert b"s3cret" not in heads[0] and b"ookie" not in heads[0] and b"uthorization" not in heads[0]


@pytest.mark.parametrize(
    ("fault", "said", "asked"), [("to-http", "not https; it was not asked", 1), ("in-circles", "one address to the next", 6)]
)
def test_a_redirect_that_leads_nowhere_good_is_given_up(simulator, client, fault, said, asked):
    (file,) = client.download_list(simulator.add(files={"a.glb": b"x"})["uuid"])
    simulator.fail("files", fault + "!")
    with pytest.raises(BadAnswer, match=f"{said}.*") as caught:
        fetched(client, file)
    assert "'a.glb'" in str(caught.value)
    assert len(simulator.asked("files")) == asked


# Parts of a file.


def parts(head: bytes, body: bytes = b"") -> tuple[bytes, int, int | None, str]:
    """What the client makes of an answer to the wish for byte 4 and on of version "v"."""
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nwholewhole"

    def handle(connection: socket.socket) -> None:
        asked = connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + head + b"\r\n\r\n" + body if b"Range: " in asked else whole)

    with serving(handle) as address, client_of(address).fetch(ResultFile("a", f"{address}/a"), 4, '"v"') as content:
        return b"".join(content.chunks), content.start, content.size, content.version


def test_the_rest_of_the_same_version_is_taken_as_such():
    head = b'206 Partial Content\r\nETag: "v"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6'
    assert parts(head, b"456789") == (b"456789", 4, 10, '"v"')


@pytest.mark.parametrize(
    "head",
    [
        b'206 Partial Content\r\nETag: "w"\r\nContent-Range: bytes 4-9/10',
        b"206 Partial Content\r\nContent-Range: bytes 4-9/10",
        b'206 Partial Content\r\nETag: W/"v"\r\nContent-Range: bytes 4-9/10',
        b'206 Partial Content\r\nETag: "v"\r\nContent-Range: bytes 3-9/10',
        b'206 Partial Content\r\nETag: "v"\r\nContent-Range: bytes 4-9/*',
        b'206 Partial Content\r\nETag: "v"\r\nContent-Range: lines 4-9/10',
        b'206 Partial Content\r\nETag: "v"',
        b'206 Partial Content\r\nETag: "v"\r\nContent-Range: bytes 4-9/10\r\nContent-Encoding: gzip',
        b"416 Range Not Satisfiable\r\nContent-Range: bytes */4",
    ],
)
def test_any_other_part_is_left_and_the_whole_asked_for(head):
    assert parts(head + b"\r\nContent-Length: 6", b"456789") == (b"wholewhole", 0, 10, "")


@pytest.mark.parametrize("length", [b"\r\nContent-Length: 3", b""])
def test_a_part_that_does_not_reach_the_end_is_a_broken_connection(length):
    """A server may send less than was asked for, and be right in its Content-Length."""
    head = b'206 Partial Content\r\nETag: "v"\r\nConnection: close\r\nContent-Range: bytes 4-6/10' + length
    with pytest.raises(Unreachable, match="before the whole answer had arrived"):
        parts(head, b"456")


def test_a_part_nobody_asked_for_is_refused():
    head = b'206 Partial Content\r\nETag: "v"\r\nContent-Range: bytes 0-2/10\r\nContent-Length: 3'
    with serving(answering(head, b"012")) as address, pytest.raises(BadAnswer, match=r"only a part of 'a'"):
        fetched(client_of(address), ResultFile("a", f"{address}/a"))


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        (b'ETag: "abc"', '"abc"'),
        (b'ETag: "abc"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT', '"abc"'),
        (b'ETag: W/"abc"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT', "Sun, 06 Nov 1994 08:49:37 GMT"),
        (b'ETag: W/"abc"', ""),
        (b'ETag: "\xe4"', ""),
        (b'ETag: "abc"\r\nContent-Encoding: gzip', ""),
        (b"X: 1", ""),
    ],
)
def test_a_version_is_what_surely_names_these_bytes(headers, version):
    body = gzip.compress(b"x") if b"gzip" in headers else b"x"
    head = b"200 OK\r\nContent-Length: %d\r\n" % len(body) + headers
    with (
        serving(answering(head, body)) as address,
        client_of(address).fetch(ResultFile("a", f"{address}/a")) as content,
    ):
        assert b"".join(content.chunks) == b"x"
    assert (content.start, content.version) == (0, version)
    assert content.size == (None if b"gzip" in headers else 1)


@pytest.mark.parametrize("version", ["", "\0\0\0", '"a"\r\nX-Injected: 1', "\ufffd", "é"])
def test_a_version_that_cannot_have_come_from_a_server_is_not_sent(version):
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    with serving(handle) as address, client_of(address).fetch(ResultFile("a", f"{address}/a"), 5, version) as content:
        assert (content.start, b"".join(content.chunks)) == (0, b"x")
    assert b"Range" not in heads[0] and b"Injected" not in heads[0]


@pytest.mark.parametrize("code", [400, 401, 403, 410])
def test_a_link_whose_time_is_over_is_told_apart(code):
    with (
        serving(answering(b"%d No\r\nContent-Length: 0" % code)) as address,
        pytest.raises(LinkExpired, match=rf"refuses the link to 'a' \(HTTP {code}\)"),
    ):
        fetched(client_of(address), ResultFile("a", f"{address}/a?signature=s3cret"))


def test_pause_waits_and_is_cut_short_by_abort(client):
    begun = time.monotonic()
    client.pause(0.2)
    assert time.monotonic() - begun >= 0.2
    error, seconds = ended_by_abort(client, lambda: client.pause(30))
    assert type(error) is Aborted and seconds < 1.0
    with pytest.raises(Aborted):
        client.pause(0.0)


def test_the_key_goes_to_the_service_only_and_a_netrc_nowhere(simulator, client, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password s3cret\ndefault login user password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    task = simulator.add(files={"a.glb": b"x"})
    client.balance()
    for file in client.download_list(task["uuid"]):
        assert fetched(client, file) == b"x"
    with_password = file.url.replace("//", "//user:s3cret@")
    assert fetched(client, ResultFile("a.glb", with_password)) == b"x"
    assert [(asked.path, asked.authorized) for asked in simulator.requests] == [
        ("check_balance", True),
        ("download", True),
        ("files", False),
        ("files", False),
    ]


def test_the_services_cookies_do_not_reach_the_file_host():
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: session=s3cret; Path=/\r\nContent-Length: 14\r\nConnection: close\r\n\r\n"
            b'{"balance": 1}'
        )

    with serving(handle) as address:
        client = client_of(address)
        client.balance()
        fetched(client, ResultFile("a", f"{address}/a"))
    assert b"s3cret" not in heads[1]
    assert API_KEY.encode() not in heads[1]


@pytest.mark.parametrize("end", ["\r\nX-Injected: 1", "\n", "-ключ", "\0"])
def test_an_unchecked_key_that_cannot_be_sent_is_not_told(simulator, end):
    client = client_of(simulator.url, key="s3cret" + end)
    with pytest.raises(ServiceError) as caught:
        client.balance()
    # Foreign exceptions quote it escaped, so only its plain beginning is sought.
    assert "s3cret" not in told(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.example.com/a",
        "http://127.0.0.1.example.com/a",
        "http://example.com\\@127.0.0.1/a",
        "http://[",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "/files/a",
        "",
        "https://",
        "https://[",
        "https://a:99999999/",
        "https://\ud800/",
        "https:// /",
    ],
)
def test_a_file_link_that_is_not_secure_or_no_link_is_refused(url):
    with pytest.raises(ServiceError) as caught:
        fetched(client_of("https://service.invalid"), ResultFile("n" * 10_000, url))
    assert type(caught.value) in (BadAnswer, Unreachable)
    assert len(str(caught.value)) < 300
    if not url.startswith("https://"):
        assert "not https" in str(caught.value)


# Sizes and times have an end.


@pytest.mark.parametrize(
    ("head", "chunked", "most"),
    [
        # Refused by its announced length: the server gets rid of no more than what the sockets hold.
        (b"200 OK\r\nContent-Length: %d" % ENDLESS, False, LARGEST_ANSWER - 1),
        (b"200 OK\r\nTransfer-Encoding: chunked", True, 3 * LARGEST_ANSWER),
        (b"200 OK", False, 3 * LARGEST_ANSWER),
        (b"302 Found\r\nLocation: /elsewhere\r\nTransfer-Encoding: chunked", True, 3 * LARGEST_ANSWER),
        (b"302 Found\r\nLocation: /elsewhere", False, 3 * LARGEST_ANSWER),
    ],
)
def test_an_answer_of_more_than_8_mb_is_refused_and_not_read_to_its_end(head, chunked, most):
    sent = [0]
    ended = threading.Event()
    piece = b" " * 65536

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 " + head + b"\r\n\r\n")
        try:
            while sent[0] < ENDLESS:
                connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
                sent[0] += len(piece)
        finally:
            ended.set()

    with serving(handle) as address:
        with pytest.raises(BadAnswer, match="more than 8 MB"):
            client_of(address, timeout=5.0).balance()
        assert ended.wait(5), "the connection is not kept open"
    assert sent[0] <= most


def test_a_small_answer_that_unpacks_to_more_than_8_mb_is_refused():
    packed = gzip.compress(b" " * 3 * LARGEST_ANSWER)
    head = b"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d" % len(packed)
    with serving(answering(head, packed)) as address, pytest.raises(BadAnswer, match="more than 8 MB"):
        client_of(address).balance()


def test_a_packed_file_arrives_unpacked_and_is_not_taken_for_a_part():
    content = b"glTF" * 10_000
    packed = gzip.compress(content)
    head = b"200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d" % len(packed)
    with serving(answering(head, packed)) as address:
        assert fetched(client_of(address), ResultFile("a.glb", f"{address}/a")) == content


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000", b"Content-Length: 1000\r\nConnection: close", b"Transfer-Encoding: chunked"],
)
def test_a_file_that_is_cut_in_the_middle_is_a_reset(head):
    content = b"64\r\n" + b"x" * 100 + b"\r\n" if b"chunked" in head else b"x" * 100
    with serving(answering(b"200 OK\r\n" + head, content)) as address:
        file = ResultFile("a.glb", f"{address}/a?signature=s3cret")
        with pytest.raises(Unreachable) as caught:
            fetched(client_of(address), file)
    assert caught.value.cause == "reset"
    assert "s3cret" not in told(caught.value)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (b"", "did not answer in time"),
        (b"HTTP/1.1 200", "in time"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "in time"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "in time"),
    ],
)
def test_silence_at_any_point_of_an_answer_times_out(before, said):
    with serving(hanging(before)) as address, pytest.raises(Unreachable, match=said) as caught:
        client_of(address, timeout=0.3).balance()
    assert caught.value.cause == "timeout"


def ended_by_abort(client: Client, call: Callable[[], object]) -> tuple[BaseException | None, float]:
    """What `call`, begun in another thread, raises after an abort, and how many seconds the abort took."""
    raised: list[BaseException | None] = []

    def run() -> None:
        try:
            call()
            raised.append(None)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    time.sleep(0.4)
    assert thread.is_alive(), "the call was to hang"
    began = time.monotonic()
    client.abort()
    returned = time.monotonic() - began
    thread.join(10)
    assert returned < 0.2, "abort does not wait"
    return raised[0], time.monotonic() - began


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("fault", ["hang", "drip"])
def test_abort_ends_a_hanging_call_at_once_and_refuses_later_ones(authority, monkeypatch, secure, fault):
    context, bundle = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with Simulator(tls=context if secure else None) as simulator:
        simulator.fail("check_balance", fault)
        client = client_of(simulator.url, timeout=30.0)
        assert not client.aborted
        error, seconds = ended_by_abort(client, client.balance)
        assert type(error) is Aborted
        assert seconds < 1.0
        assert client.aborted
        with pytest.raises(Aborted):
            client.balance()
        with pytest.raises(Aborted):
            fetched(client, ResultFile("a", f"{simulator.root}/files/x/0"))


@pytest.mark.parametrize(
    "head", [b"200 OK\r\nContent-Length: 1000", b"200 OK\r\nTransfer-Encoding: chunked", b"200 OK"]
)
def test_a_file_cut_short_by_abort_is_never_taken_for_a_whole_one(head):
    with serving(hanging(b"HTTP/1.1 " + head + b"\r\n\r\n64\r\n" + b"x" * 100 + b"\r\n")) as address:
        client = client_of(address, timeout=30.0)
        error, seconds = ended_by_abort(client, lambda: fetched(client, ResultFile("a.glb", f"{address}/a")))
    assert type(error) is Aborted
    assert seconds < 1.0


@pytest.mark.parametrize(("head", "whole"), [(b"Content-Length: 3", True), (b"Connection: close", False)])
def test_a_file_that_is_known_to_be_whole_is_so_after_an_abort_too(head, whole):
    with serving(answering(b"200 OK\r\n" + head, b"abc")) as address:
        client = client_of(address)
        with client.fetch(ResultFile("a.glb", f"{address}/a")) as content:
            assert next(content.chunks) == b"abc"
            client.abort()
            if whole:
                assert [*content.chunks] == []
            else:
                with pytest.raises(Aborted):
                    next(content.chunks)


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http-proxy", "https-proxy"])
def test_abort_ends_a_call_through_a_proxys_tunnel(authority, monkeypatch, proxy_tls):
    context, bundle = authority
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    proxy = Proxy()
    with Simulator(tls=context) as simulator, serving(proxy, context if proxy_tls else None) as address:
        proxy.tunnel_to = simulator.root.removeprefix("https://")
        monkeypatch.setenv("HTTPS_PROXY", address)
        simulator.fail("check_balance", "hang")
        client = client_of("https://service.invalid/api/v2", timeout=30.0)
        error, seconds = ended_by_abort(client, client.balance)
    assert type(error) is Aborted
    assert seconds < 1.0
    assert len(proxy.heads) == 1


def test_a_call_aborted_while_it_connects_ends_as_such_by_the_connect_timeout():
    with letting_nobody_in() as port:
        client = Client(Connection(f"http://127.0.0.1:{port}", Secret(API_KEY), 1.5, 20.0))
        error, seconds = ended_by_abort(client, client.balance)
    assert type(error) is Aborted
    assert seconds < 2.0
    with pytest.raises(Aborted):
        client.balance()


@pytest.mark.parametrize(
    ("answer", "environment"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", {}),
        (b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n", {"HTTPS_PROXY": "http"}),
        (b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n", {"HTTPS_PROXY": "https"}),
    ],
    ids=["no-tls", "proxy-refuses", "proxy-without-tls"],
)
def test_a_connection_that_fails_is_closed_at_once(monkeypatch, answer, environment):
    """urllib3 1.26 leaves it to the garbage collection, so nothing may hold on to it."""
    closed = threading.Event()

    def handle(connection: socket.socket) -> None:
        try:
            # Where the client is quick, the connection is closed while it is answered.
            if connection.recv(65536) and answer:
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        finally:
            closed.set()

    with serving(handle) as address:
        for name, value in environment.items():
            monkeypatch.setenv(name, address.replace("http", value) if name == "HTTPS_PROXY" else value)
        asked = "https://service.invalid" if "HTTPS_PROXY" in environment else address.replace("http", "https")
        client = client_of(asked)
        with pytest.raises(Unreachable):
            client.balance()
        assert closed.wait(2.0), "while the client is kept"
        assert not client.aborted


@pytest.mark.parametrize("proxy", ["", "http", "https"])
def test_abort_ends_a_tls_handshake_and_the_way_through_a_proxy(monkeypatch, proxy):
    with serving(hanging()) as address:
        if proxy:
            monkeypatch.setenv("HTTPS_PROXY", address.replace("http", proxy))
        asked = "https://rodin.invalid" if proxy else address.replace("http", "https")
        client = Client(Connection(asked, Secret(API_KEY), 20.0, 20.0))
        error, seconds = ended_by_abort(client, client.balance)
    assert type(error) is Aborted
    assert seconds < 1.0


# What needs what.

_WITHOUT = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(f"{{name}} is not for this half")
sys.meta_path.insert(0, Blocked())
import {modules}
found = sorted({{name.partition(".")[0] for name in sys.modules}} & set({blocked!r}))
sys.exit(f"imported all the same: {{found}}" if found else 0)
"""


def modules_of(*folders: str) -> list[str]:
    files = [file for folder in folders for file in sorted((ROOT / "rodin_blender" / folder).glob("*.py"))]
    assert len(files) > 5
    return [f"rodin_blender.{file.parent.name}.{file.stem}".removesuffix(".__init__") for file in files]


@pytest.mark.parametrize(
    ("blocked", "modules"),
    [
        (["bpy", "bl_ui", "mathutils", "gpu"], modules_of("service", "tracking")),
        (
            ["bpy", "requests", "urllib3"],
            [f"rodin_blender.{m}" for m in ("service.keys", "service.answers", "service.connection", "tracking.tracker")],
        ),
    ],
    ids=["without-bpy", "without-requests"],
)
def test_the_library_half_needs_no_blender_and_most_of_it_no_requests(blocked, modules):
    code = _WITHOUT.format(blocked=blocked, modules=", ".join(modules))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
