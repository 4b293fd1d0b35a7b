# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose certificates are trusted: the system's, and those of a CA file that the user or the studio names.

The system's count since a studio's network may inspect connections, with a CA that its computers know; and Blender 4.2
to 4.4 bring a list of authorities from 2021. `truststore` finds them on each system. It comes with the extension; a
plain Python without it trusts the list that comes with `requests`.
"""

from __future__ import annotations

import os
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests.utils

from ..texts.text import Text
from .errors import Unusable, os_reason

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LARGEST_FILE = 16 * 1024 * 1024


def in_use(ca_file: str) -> str:
    """Whose certificates count, in words. Raises Unusable where none can."""
    Trust(ca_file).context()
    bundle = next((name for name in CA_VARIABLES if os.environ.get(name)), "")
    if bundle and not ca_file:
        return f"those of {os.environ[bundle]} ({bundle}) alone"
    system = "the system's (truststore), " if find_spec("truststore") else ""
    own = f", and those of {ca_file}" if ca_file else ""
    return f"{system}those that requests brings ({requests.utils.DEFAULT_CA_BUNDLE_PATH}){own}"


class Trust:
    """Whom a client trusts. `host` is the one that the connection under way is for."""

    def __init__(self, ca_file: str) -> None:
        self.host = ""
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Made when it is first needed: that takes some 50 ms and reads files.

        Raises Unusable for a CA file that cannot be used.
        """
        if self._context is None:
            self._context = self._made()
        return self._context

    def _made(self) -> ssl.SSLContext:
        """One that checks certificates and host names.

        What the CA file holds is trusted besides the system's; without one, the bundle of REQUESTS_CA_BUNDLE in their
        place, as `requests` has it.
        """
        for variable in CA_VARIABLES:
            bundle = os.environ.get(variable, "")
            if bundle and not self._ca_file:
                context = _naming(ssl.SSLContext, self)
                _load(context, Path(bundle), variable)
                return context
        try:
            import truststore
        except ImportError:
            context = _naming(ssl.SSLContext, self)
        else:
            # A context of our own: `truststore` can also put itself in the place of `ssl` for all of Blender.
            context = _naming(truststore.SSLContext, self)
        # These are loaded beside the system's, since a container of a render farm may have none.
        context.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
        if self._ca_file:
            _load(context, Path(self._ca_file).expanduser(), "the setting CA File")
        return context


def _naming(kind: Any, trust: Trust) -> ssl.SSLContext:
    """A TLS context that always knows the host: urllib3 before 2 does not tell it one that is an IP address."""

    class Naming(kind):  # type: ignore[misc]
        def wrap_socket(self, *args: Any, server_hostname: str | None = None, **kwargs: Any) -> Any:
            return super().wrap_socket(*args, server_hostname=server_hostname or trust.host, **kwargs)

        def wrap_bio(self, *args: Any, server_hostname: str | None = None, **kwargs: Any) -> Any:
            return super().wrap_bio(*args, server_hostname=server_hostname or trust.host, **kwargs)

    return Naming(ssl.PROTOCOL_TLS_CLIENT)


def _load(context: ssl.SSLContext, path: Path, source: str) -> None:
    """Have the certificates of a PEM file trusted, or of a folder as OpenSSL has it. Raises Unusable."""

    def unusable(text: str, reason: str = "") -> Unusable:
        return Unusable("tls", Text(text, path=str(path), source=source, reason=reason))

    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
            return
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE)
    except FileNotFoundError:
        raise unusable("The CA file {path} ({source}) is not there.") from None
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "no path"
        raise unusable("The CA file {path} ({source}) cannot be read: {reason}.", reason) from None
    if not content.strip():
        raise unusable("The CA file {path} ({source}) is empty.")
    if b"-----BEGIN CERTIFICATE-----" not in content and b"-----BEGIN TRUSTED CERTIFICATE-----" not in content:
        if content[:1] == b"\x30":
            raise unusable(
                "The CA file {path} ({source}) is in the binary form (DER). It is needed as text (PEM), which "
                "`openssl x509 -inform der -in FILE -out FILE.pem` makes of it."
            )
        raise unusable(
            "The CA file {path} ({source}) holds no certificate. It is to be text that begins with "
            "-----BEGIN CERTIFICATE-----."
        )
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError):
        raise unusable("The CA file {path} ({source}) is damaged: a certificate in it cannot be read.") from None
