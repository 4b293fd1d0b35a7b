# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's proxy as it is given: an address, often without `http://` and with a name and a password. No network."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from ..texts.text import Text
from .errors import Unusable
from .keys import Secret, printable

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
HIDDEN = "****"
"""What stands for a password."""


@dataclass(frozen=True)
class Proxy:
    """A proxy in use. `value` is what was given, `source` says where: "the setting Proxy", "HTTPS_PROXY"."""

    value: Secret
    source: str

    def __str__(self) -> str:
        return f"{masked(self.value.reveal())} ({self.source})"

    @property
    def address(self) -> str:
        """The address for `requests`, with the name and the password percent-encoded. Raises Unusable."""
        text = self.value.reveal().strip()
        text = text if "://" in text else f"http://{text}"
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise self._wrong() from None
        if parts.scheme not in ("http", "https"):
            text = "The proxy {proxy} is of a kind that does not work here ({kind}). Give an HTTP proxy: http://HOST:PORT."
            raise Unusable("proxy", Text(text, proxy=str(self), kind=printable(parts.scheme, 20)))
        if not host or parts.path not in ("", "/") or parts.query or parts.fragment or not host.isprintable():
            raise self._wrong()
        host = f"[{host}]" if ":" in host else host
        name, colon, password = parts.netloc.rpartition("@")[0].partition(":")
        # Given percent-encoded or as it is, so that it is decoded before it is encoded.
        login = quote(unquote(name), safe="") + colon + quote(unquote(password), safe="")
        return f"{parts.scheme}://{login}{'@' if login else ''}{host}{f':{port}' if port else ''}"

    @property
    def has_login(self) -> bool:
        return "@" in self.value.reveal()

    def _wrong(self) -> Unusable:
        text = "The proxy {proxy} is no address of the form http://HOST:PORT."
        if self.has_login:
            text += " In a name or a password, write @ : / ? # as %40 %3A %2F %3F %23."
        return Unusable("proxy", Text(text, proxy=str(self)))


def authorization(address: str) -> str:
    """The Proxy-Authorization header for an address of `Proxy.address`, "" without a name. Letters go as UTF-8."""
    name, _, password = urlsplit(address).netloc.rpartition("@")[0].partition(":")
    login = f"{unquote(name)}:{unquote(password)}"
    return f"Basic {b64encode(login.encode()).decode()}" if name else ""


def unmasked(text: str, before: str) -> str:
    """What someone means who has edited what `masked` shows of `before`: its password, where it is still hidden."""
    if text == masked(before):
        return before
    _, _, password = _SCHEME.sub("", before.strip().rpartition("@")[0]).partition(":")
    return text.replace(f":{HIDDEN}@", f":{password}@") if password else text


def masked(value: str) -> str:
    """A proxy as it was given, less the password, fit for one line."""
    login, at, host = value.strip().rpartition("@")
    scheme = found[0] if (found := _SCHEME.match(login)) else ""
    name, _, password = login[len(scheme) :].partition(":")
    # A name alone may be a token.
    hidden = f"{name}:{HIDDEN}" if password else HIDDEN if at else ""
    return printable(f"{scheme}{hidden}{at}{host}", 100)
