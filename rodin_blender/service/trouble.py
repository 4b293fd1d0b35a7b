# SPDX-License-Identifier: GPL-3.0-or-later
"""What kept an HTTP answer from arriving, in plain words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

from .errors import Unreachable

BROKE_OFF = "The connection broke off before the whole answer had arrived."


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
        return Unreachable("reset", BROKE_OFF)
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
