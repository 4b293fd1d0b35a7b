"""A proxy, and TLS through it, that fail in one way after the other."""

from __future__ import annotations

import ssl

import trustme

from tools.faults.gateway import Gateway
from tools.faults.world import Row, World, usual_course
from tools.testing.cuts import LATE, after, said
from tools.testing.sockets import answering, hanging

PASSWORD = "proxy-password"
DENIED = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="studio"\r\n'
    b"Content-Length: 0\r\n\r\n"
)


def proxy(world: World) -> None:
    """With a password, which is nobody's to read; and TLS through it, which fails, too."""
    authority, gateway = trustme.CA(), world.gateway
    bundle = world.folder / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    gateway.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A name that the proxy alone knows: this computer itself would be reached past it.
    world.host = "rodin.test"
    authority.issue_cert(world.host).configure_cert(gateway.tls)
    before = Gateway(gateway.port, proxy=True)
    world.gateways.append(before)
    world.secrets.append(PASSWORD)
    world.environment |= {
        "REQUESTS_CA_BUNDLE": str(bundle),
        "HTTPS_PROXY": f"http://artist:{PASSWORD}@127.0.0.1:{before.port}",
    }
    failing = (
        (gateway, after(65536), "(TLS) failed"),
        (gateway, hanging(), LATE),
        (gateway, answering(b"200 OK"), "(TLS) failed"),
        (before, said(DENIED), "(HTTP 407)"),
        (before, said(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>"), "(HTTP 502)"),
        (before, lambda _connection: None, "closed the connection"),
    )
    usual_course(
        world,
        *((lambda at=at, handle=handle: at.strike(handle), at.relieve, says) for at, handle, says in failing),
        (before.refuse, before.relieve, "(HTTPS_PROXY) refused"),
    )


ROWS = (
    Row(
        "a studio's proxy and TLS through it fail in 7 ways",
        "HTTPS_PROXY, with a password: a gateway that closes, hangs, speaks no TLS, answers 407 and 502, is gone",
        proxy,
    ),
)
