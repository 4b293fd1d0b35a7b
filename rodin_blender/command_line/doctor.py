# SPDX-License-Identifier: GPL-3.0-or-later
"""What is configured and reachable, fit to be pasted into a bug report: nothing secret is in it."""

from __future__ import annotations

import importlib
import os
import platform
from argparse import Namespace
from typing import Any

from ..configuration import FIELDS, FILE_VARIABLE, path_of, variable_set
from ..service import keys
from ..service.errors import BadInput, NotAuthorized, RodinError, os_reason
from ..service.proxies import masked
from ..storage.folders import FOLDER_VARIABLE
from .following import opened
from .host import Host
from .output import Exit, Output, for_a_shell

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_NETWORK = ("NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def run(host: Host, output: Output, given: Namespace) -> Exit:
    code, service = _service(host)
    facts: dict[str, Any] = {
        "system": platform.platform(),
        "versions": {**host.versions, **_requests()},
        "settings": {name: _setting(host, name) for name in FIELDS},
        "environment": _environment(),
        "list": _list(host, output),
        "service": service,
    }
    lines = [f"system: {facts['system']}"]
    lines += [f"versions: {name} {version}" for name, version in facts["versions"].items()]
    for name, setting in facts["settings"].items():
        lines.append(f"settings: {name} {setting.get('trouble') or _setting_line(setting)}")
    lines += [f"environment: {name} = {value}" for name, value in facts["environment"].items()]
    found = facts["list"]
    lines.append(f"list: {found['path']} {found['trouble'] or 'with {tasks} tasks'.format(**found)}")
    lines.append(f"service: {service['address']} {service['text']}")
    output.tell("doctor", "\n".join(lines), **facts)
    return code


def _setting(host: Host, name: str) -> dict[str, Any]:
    try:
        found = host.resolve(name)
        if FIELDS[name].is_path:
            path_of(found, None)
    except BadInput as error:
        return {"trouble": str(error)}
    value = found.value
    if name in ("api_key", "api_key_command"):
        value = "set" if value else "not set"
    if name == "proxy":
        value = masked(str(value))
    if name == "service_address":
        value = _address(str(value))
    # What the environment says for nothing, since a file of the studio's has locked the setting.
    ignored = f"${variable_set(name)}" if found.locked and variable_set(name) else ""
    return {"value": value, "source": found.source, "locked": found.locked, "ignored": ignored}


def _setting_line(setting: dict[str, Any]) -> str:
    locked = ", locked" if setting["locked"] else ""
    locked += ", so {ignored} does not count".format(**setting) if setting["ignored"] else ""
    return "= {value} (from {source}{locked})".format(**setting | {"locked": locked})


def _address(value: str) -> str:
    """A service address in use; of another text nothing, since it may hold a password."""
    try:
        return keys.service_address(value)
    except BadInput:
        return "(not an address)"


def _environment() -> dict[str, str]:
    """The variables that decide about the network, and where the studio's file is."""
    variables = [name for upper in (*_PROXIES, *_NETWORK) for name in (upper, upper.lower())]
    found = {name: os.environ[name] for name in variables if os.environ.get(name)}
    shown = {name: masked(value) if name.upper() in _PROXIES else value for name, value in found.items()}
    return {**shown, **{name: os.environ.get(name) or "not set" for name in (FILE_VARIABLE, FOLDER_VARIABLE)}}


def _requests() -> dict[str, str]:
    found = {}
    for name in ("requests", "urllib3", "certifi", "truststore"):
        try:
            found[name] = str(importlib.import_module(name).__version__)
        except ImportError:
            found[name] = "not there"
    return found


def _list(host: Host, output: Output) -> dict[str, Any]:
    tasks, trouble = None, ""
    try:
        if host.list_path.exists():
            with opened(host.list_path, output) as store:
                tasks = len(store.tasks())
        else:
            trouble = "does not exist yet"
    except RodinError as error:
        trouble = for_a_shell(str(error))
    except OSError as error:
        trouble = os_reason(error)
    return {"path": str(host.list_path), "tasks": tasks, "trouble": trouble}


def _service(host: Host) -> tuple[Exit, dict[str, Any]]:
    settings = host.settings

    def found(code: Exit, text: str) -> tuple[Exit, dict[str, Any]]:
        return code, {"address": settings.address, "ok": code is Exit.DONE, "text": for_a_shell(text)}

    if settings.obstacle:
        return found(Exit.OFFLINE if settings.obstacle.kind == "offline" else Exit.USAGE, settings.obstacle.text)
    try:
        from ..service.client import Client

        Client(settings.connection).balance()
    except NotAuthorized as error:
        return found(Exit.USAGE, str(error))
    except RodinError as error:
        return found(Exit.TROUBLE, str(error))
    except ImportError:
        return found(Exit.USAGE, "cannot be asked without requests")
    return found(Exit.DONE, "answers and accepts the API key")
