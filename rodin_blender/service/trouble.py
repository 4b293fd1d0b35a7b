# SPDX-License-Identifier: GPL-3.0-or-later
"""What kept an HTTP answer from arriving, in plain words."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator

import requests
import urllib3.exceptions

from ..texts.actions import Action
from ..texts.text import Text
from .errors import Unreachable, Unusable
from .proxies import Proxy

SERVICE, FILE_SERVER, PROXY = Text("service"), Text("file server"), Text("proxy")
"""Whose answer or certificate it is about."""
BROKE_OFF = "The connection broke off before the whole answer had arrived."

# What OpenSSL, and `truststore` on Windows and macOS, call it in `verify_code`.
_OTHER_HOST = {62, 64, 0x800B010F, -67602}
_NOT_NOW = {9, 10, 0x800B0101, -67818, -67819}


def unreachable(
    error: BaseException, whose: Text = SERVICE, proxy: Proxy | None = None, *, passed_proxy: bool = False
) -> Unreachable:
    """What kept an HTTP answer from arriving, found in the chain of exceptions below `error`.

    `proxy` is the one that was to be used, `passed_proxy` says whether it had let the connection through.
    """
    chain = list(_chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in chain)

    for link in chain:
        if isinstance(link, Unusable):
            return Unreachable(link.cause, link.text)
    if proxy and not passed_proxy:
        return Unreachable("proxy", _proxy_trouble(chain, proxy))
    if has(requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError):
        return Unreachable("tls", _certificate_trouble(chain, whose) or Text("The secure connection (TLS) failed."))
    if has(requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError):
        return Unreachable("dns", Text("The address of the {whose} cannot be right.", whose=whose))
    if _unknown_name(chain):
        return Unreachable("dns", Text("The {whose} was not found (DNS).", whose=whose), Action.CHECK_NETWORK)
    if has(ConnectionRefusedError):
        return Unreachable("refused", Text("The {whose} refused the connection.", whose=whose))
    # By inheritance, a NewConnectionError is a ConnectTimeoutError, whatever kept the connection from being made.
    if has(requests.exceptions.ConnectTimeout) or (has(urllib3.exceptions.NewConnectionError) and has(TimeoutError)):
        return Unreachable("timeout", Text("The {whose} did not answer in time.", whose=whose), Action.CHECK_NETWORK)
    if has(requests.exceptions.ReadTimeout, urllib3.exceptions.ReadTimeoutError, TimeoutError):
        text = "The {whose} took the request but did not answer in time."
        return Unreachable("timeout", Text(text, whose=whose))
    if has(ConnectionResetError, BrokenPipeError, urllib3.exceptions.ProtocolError):
        return Unreachable("reset", BROKE_OFF)
    text = "The connection to the {whose} failed ({kind})."
    return Unreachable("connection", Text(text, whose=whose, kind=type(error).__name__))


def _proxy_trouble(chain: list[BaseException], proxy: Proxy) -> Text:
    """Why the proxy did not let a connection through."""
    said = re.search(r"Tunnel connection failed: (\d{3})", " ".join(map(str, chain)))
    if said and said[1] == "407":
        if proxy.has_login:
            text = "The proxy {proxy} does not accept the name and password given with it (HTTP 407)."
            return Text(text, proxy=str(proxy))
        text = "The proxy {proxy} wants a name and a password (HTTP 407): give it as http://NAME:PASSWORD@HOST:PORT."
        return Text(text, proxy=str(proxy))
    if said and said[1] == "403":
        return Text(
            "The proxy {proxy} does not let us through to this host (HTTP 403); "
            "ask whoever looks after the network to allow it.",
            proxy=str(proxy),
        )
    if said:
        text = "The proxy {proxy} does not make the connection (HTTP {status}); it may be no proxy, or in trouble."
        return Text(text, proxy=str(proxy), status=int(said[1]))
    if any(type(link).__name__ == "SSLError" or isinstance(link, ssl.SSLError) for link in chain):
        trouble = _certificate_trouble(chain, PROXY)
        if trouble:
            return Text("The proxy {proxy} cannot be used. {trouble}", proxy=str(proxy), trouble=trouble)
        text = "The proxy {proxy} does not speak TLS: it is of another kind. Try http:// in place of https://."
    elif _unknown_name(chain):
        text = "The proxy {proxy} is not found: there is no host of that name (DNS)."
    elif any(isinstance(link, ConnectionRefusedError) for link in chain):
        text = "The proxy {proxy} refused the connection: no proxy runs at this address and port."
    elif any(isinstance(link, (TimeoutError, urllib3.exceptions.ConnectTimeoutError)) for link in chain):
        text = "The proxy {proxy} did not answer in time."
    else:
        text = "The proxy {proxy} closed the connection, or does not speak HTTP: it may be of another kind."
    return Text(text, proxy=str(proxy))


def _certificate_trouble(chain: list[BaseException], whose: Text) -> Text | None:
    """What is wrong with a certificate, None where that is not the matter."""
    code = next((getattr(e, "verify_code", 0) for e in chain if isinstance(e, ssl.SSLCertVerificationError)), None)
    if code is None:
        return None
    if code in _OTHER_HOST:
        text = (
            "The {whose}'s certificate is of another host: something else answers at its address. Check the address, "
            "and whether the network wants you to sign in."
        )
    elif code in _NOT_NOW:
        text = "The {whose}'s certificate is out of date, or the clock of this computer is wrong."
    else:
        text = (
            "The {whose}'s certificate is not trusted: this computer does not know who issued it. Where a studio "
            "inspects connections, its own CA goes into the system, or into the setting CA File (RODIN_CA_FILE)."
        )
    return Text(text, whose=whose)


def _unknown_name(chain: list[BaseException]) -> bool:
    # urllib3 has NameResolutionError since version 2.
    return any(isinstance(e, socket.gaierror) or type(e).__name__ == "NameResolutionError" for e in chain)


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
