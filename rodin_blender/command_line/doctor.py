# SPDX-License-Identifier: GPL-3.0-or-later
"""What is configured and reachable, fit to be pasted into a bug report: nothing secret is in it."""

from __future__ import annotations

import importlib
import os
import platform
from argparse import Namespace
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from ..configuration import FIELDS, FILE_VARIABLE
from ..service.errors import BadInput, RodinError
from ..tracking.store import Store
from .host import Host
from .output import Exit, Output

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
_NETWORK = (*_PROXIES, *(name.lower() for name in _PROXIES), "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def run(host: Host, output: Output, given: Namespace) -> Exit:
    code, service = _service(host)
    facts = {
        "system": platform.platform(),
        "versions": {**host.versions, **_requests()},
        "settings": {name: _setting(host, name) for name in FIELDS},
        "environment": _environment(),
        "list": _list(host),
        "service": service,
    }
    lines = [f"{group}: {line}" for group, found in facts.items() for line in _lines(found)]
    output.tell("doctor", "\n".join(lines), **facts)
    return code


def _lines(found: Any) -> list[str]:
    if isinstance(found, dict):
        return [f"{name} {line}" for name, inner in found.items() for line in _lines(inner)]
    return [str(found)]


def _setting(host: Host, name: str) -> dict[str, Any] | str:
    try:
        found = host.resolve(name)
    except BadInput as error:
        return str(error)
    value = ("set" if found.value else "not set") if name == "api_key" else found.value
    return f"= {value} (from {found.source})"


def _environment() -> dict[str, str]:
    """The variables that decide about the network; of addresses only what holds no password."""
    found = {}
    for name in _NETWORK:
        value = os.environ.get(name)
        if value:
            found[name] = f"= {_without_password(value)}"
    return {**found, FILE_VARIABLE: f"= {os.environ.get(FILE_VARIABLE, 'not set')}"}


def _without_password(value: str) -> str:
    if "@" not in value:
        return value
    try:
        parts = urlsplit(value if "//" in value else f"//{value}")
        return f"{parts.scheme or 'http'}://…@{parts.hostname}:{parts.port or ''}"
    except ValueError:
        return "(holds a password, not shown)"


def _requests() -> dict[str, str]:
    found = {}
    for name in ("requests", "urllib3", "certifi"):
        try:
            found[name] = str(importlib.import_module(name).__version__)
        except ImportError:
            found[name] = "not there"
    return found


def _list(host: Host) -> str:
    if not host.list_path.exists():
        return f"{host.list_path} does not exist yet"
    try:
        with closing(Store(host.list_path)) as store:
            return f"{host.list_path} with {len(store.tasks())} tasks"
    except RodinError as error:
        return str(error)


def _service(host: Host) -> tuple[Exit, str]:
    settings = host.settings
    if settings.obstacle:
        return (Exit.OFFLINE if settings.obstacle.kind == "offline" else Exit.USAGE), settings.obstacle.text
    try:
        from ..service.client import Client, Connection

        Client(Connection(settings.address, settings.api_key, settings.timeout, settings.timeout)).balance()
    except RodinError as error:
        return Exit.TROUBLE, f"{settings.address}: {error}"
    except ImportError:
        return Exit.USAGE, "cannot be asked without requests"
    return Exit.DONE, f"{settings.address} answers and accepts the API key"
