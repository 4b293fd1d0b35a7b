"""A cut at each stage of a connection, one row each: a gateway before the simulator does it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import trustme

from tools.faults.gateway import Gateway, Handle
from tools.faults.world import NotRun, Row, World, usual_course
from tools.testing.sockets import hanging

BROKE_OFF = "broke off"
LATE = "did not answer in time"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


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


def _after(count: int) -> Handle:
    """Closed after so many bytes of the request were read; the rest is never taken in."""

    def handle(connection: socket.socket) -> None:
        connection.recv(count)

    return handle


def _reset(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _drip(connection: socket.socket) -> None:
    """A space now and then, without an end."""
    connection.recv(65536)
    connection.sendall(HEAD + b"\r\n")
    connection.settimeout(0.2)
    while True:
        connection.sendall(b" ")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


OF_EACH_KIND = {
    "hung in connecting",
    "connection closed in the body",
    "connection reset after the request",
    "silent before the answer",
    "a drip without an end",
    "a certificate that is expired",
    "TLS: closed in the handshake",
    "a proxy that closes at once",
}
"""For the short form, one of each that is treated alike: tests/unit/test_cuts.py meets all of `CUTS`, and the tests of
certificates and proxies the others. What the whole campaign adds to them is the program around the client."""

CUTS: tuple[tuple[str, str, Handle, str], ...] = (
    ("closed as soon as it is made", "accepted, then closed", lambda _connection: None, BROKE_OFF),
    ("closed after half of the request", "60 of its bytes are read, then the socket is closed", _after(60), BROKE_OFF),
    ("closed after the whole request", "it is read, then the socket is closed", _after(65536), BROKE_OFF),
    ("reset after the request", "it is read, then the socket is closed with a reset", _reset, BROKE_OFF),
    ("closed in the status line", "`HTTP/1.1 2` is sent, closed", said(b"HTTP/1.1 2"), BROKE_OFF),
    ("closed after the status line", "one line is sent, closed", said(b"HTTP/1.1 200 OK\r\n"), "answer is empty"),
    ("closed in the headers", "a header and a half are sent, closed", said(HEAD + b"Content-Le"), "answer is empty"),
    (
        "closed before the body",
        "the headers are sent, closed",
        said(HEAD + b"Content-Length: 90\r\n\r\n"),
        BROKE_OFF,
    ),
    (
        "closed in the body",
        "21 of the 90 announced bytes are sent, closed",
        said(HEAD + b'Content-Length: 90\r\n\r\n{"jobs": [{"uuid": "1'),
        BROKE_OFF,
    ),
    (
        "closed in a body of chunks",
        "one chunk is sent, and not the closing one",
        said(HEAD + b'Transfer-Encoding: chunked\r\n\r\n9\r\n{"jobs": \r\n'),
        BROKE_OFF,
    ),
    (
        "closed in a body without a length",
        "half of the JSON is sent, closed",
        said(HEAD + b'\r\n{"jobs": [{"uuid": "1'),
        "not a JSON object",
    ),
    ("silent before the answer", "the request is read, and nothing said", hanging(), LATE),
    ("silent in the headers", "one header is sent, then nothing", hanging(HEAD), LATE),
    (
        "silent in the body",
        "7 of the 90 announced bytes are sent, then nothing",
        hanging(HEAD + b'Content-Length: 90\r\n\r\n{"jobs"'),
        LATE,
    ),
    ("a drip without an end", "a byte each 0.2 s, so that no timeout is met", _drip, "took too long"),
)


def cut(world: World, fault: Handle, says: str, remedy: str = "") -> None:
    # A drip is ended by the limit of the whole call, which is a minute outside of the campaign.
    world.options["longest_call"] = 3.0
    usual_course(world, lambda: world.gateway.strike(fault), world.gateway.relieve, says, remedy=remedy)


def refused(world: World) -> None:
    usual_course(world, world.gateway.refuse, world.gateway.relieve, "refused the connection")


def hung_in_connect(world: World) -> None:
    usual_course(world, world.gateway.fill, world.gateway.relieve, LATE)


# TLS.


class _Tls:
    """A gateway that speaks TLS, with a certificate that the followers trust."""

    def __init__(self, world: World, name: str = "127.0.0.1") -> None:
        self.authority = trustme.CA()
        bundle = world.folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(bundle))
        world.environment["REQUESTS_CA_BUNDLE"] = str(bundle)
        self.name = name
        self.good = self.context(self.authority.issue_cert(name))
        self.gateway = world.gateway
        self.gateway.tls = self.good
        world.host = name

    def context(self, certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def change(self, context: ssl.SSLContext) -> None:
        self.gateway.relieve()
        self.gateway.tls = context


def certificate(world: World, kind: str) -> None:
    tls = _Tls(world)
    bad = {
        "untrusted": lambda: trustme.CA().issue_cert(tls.name),
        "expired": lambda: tls.authority.issue_cert(
            tls.name, not_before=datetime(2020, 1, 1, tzinfo=UTC), not_after=datetime(2021, 1, 1, tzinfo=UTC)
        ),
        "of another host": lambda: tls.authority.issue_cert("another.test"),
    }[kind]()
    says = {"untrusted": "not trusted", "expired": "out of date", "of another host": "of another host"}[kind]
    usual_course(world, lambda: tls.change(tls.context(bad)), lambda: tls.change(tls.good), f"certificate is {says}")


def handshake(world: World, fault: Handle, says: str) -> None:
    tls = _Tls(world)
    usual_course(world, lambda: tls.gateway.strike(fault), tls.gateway.relieve, says)


# Names.


def no_such_name(world: World) -> None:
    """A name that is in a hosts file, which is the process's own, and then no longer is."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        raise NotRun("needs root on Linux, to give a process a hosts file of its own")
    hosts, usual = world.folder / "hosts", Path("/etc/hosts").read_text()
    known = f"{usual}\n127.0.0.1 rodin.test\n"
    hosts.write_text(known)
    _Tls(world, "rodin.test")
    world.prefix = [
        *("unshare", "--mount", "sh", "-ec", 'mount --make-rprivate /; mount --bind "$0" /etc/hosts; exec "$@"'),
        str(hosts),
    ]

    def strike() -> None:
        hosts.write_text(usual)
        world.gateway.relieve()  # So that a new connection is made.

    usual_course(world, strike, lambda: hosts.write_text(known) and None, "(DNS)", patience=60.0)


# Proxies.


def proxy(world: World, fault: Callable[[Gateway], None], says: str) -> None:
    # A name that the proxy alone knows: this computer itself would be reached past it.
    _Tls(world, "rodin.test")
    before = Gateway(world.gateway.port, proxy=True)
    world.gateways.append(before)
    # With a password, which is nobody's to read either.
    world.secrets.append("proxy-password")
    world.environment["HTTPS_PROXY"] = f"http://artist:proxy-password@127.0.0.1:{before.port}"
    usual_course(world, lambda: fault(before), before.relieve, says)


def _denied(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(
        b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="studio"\r\n'
        b"Content-Length: 0\r\n\r\n"
    )


def _rows() -> list[Row]:
    gateway = "a gateway before the simulator: "
    rows = [
        Row("the port is closed", gateway + "it listens no more", refused),
        Row("hung in connecting", gateway + "its queue of connections is full", hung_in_connect),
        *(
            Row(f"connection {name}" if name[0] in "cr" else name, gateway + how, _cut(handle, says))
            for name, how, handle, says in CUTS
        ),
    ]
    tls = "a gateway that speaks TLS: "
    for kind, how in (
        ("untrusted", "one of an authority that is not in REQUESTS_CA_BUNDLE"),
        ("expired", "one that ended in 2021"),
        ("of another host", "one for another.test"),
    ):
        rows.append(Row(f"a certificate that is {kind}", tls + how, _certificate(kind)))
    failed = "(TLS) failed"
    shakes: tuple[tuple[str, str, Handle, str], ...] = (
        ("TLS: closed in the handshake", "the ClientHello is read, closed", _after(65536), failed),
        ("TLS: silent in the handshake", "the ClientHello is read, then nothing", hanging(), LATE),
        ("TLS: answered in plain HTTP", "it answers the ClientHello in HTTP", said(HEAD + b"\r\n{}"), failed),
    )
    rows += [Row(name, tls + how, _handshake(handle, says)) for name, how, handle, says in shakes]
    rows.append(Row("a host name that does not exist", "the name leaves the process's own /etc/hosts", no_such_name))
    proxies: tuple[tuple[str, str, Callable[[Gateway], None], str], ...] = (
        ("a proxy whose port is closed", "it listens no more", Gateway.refuse, "(HTTPS_PROXY) refused"),
        ("a proxy that answers 407", "it wants a password", lambda before: before.strike(_denied), "(HTTP 407)"),
        (
            "a proxy that answers 502 with HTML",
            "it answers CONNECT so",
            lambda before: before.strike(said(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>")),
            "(HTTP 502)",
        ),
        (
            "a proxy that closes at once",
            "accepted, closed",
            lambda before: before.strike(lambda _connection: None),
            "closed the connection",
        ),
    )
    rows += [Row(name, "HTTPS_PROXY; " + how, _proxy(fault, says)) for name, how, fault, says in proxies]
    return [replace(row, short=row.name in OF_EACH_KIND) for row in rows]


def _cut(handle: Handle, says: str) -> Callable[[World], None]:
    return lambda world: cut(world, handle, says)


def _certificate(kind: str) -> Callable[[World], None]:
    return lambda world: certificate(world, kind)


def _handshake(handle: Handle, says: str) -> Callable[[World], None]:
    return lambda world: handshake(world, handle, says)


def _proxy(fault: Callable[[Gateway], None], says: str) -> Callable[[World], None]:
    return lambda world: proxy(world, fault, says)


ROWS = tuple(_rows())
