# SPDX-License-Identifier: GPL-3.0-or-later
"""What is configured and reachable, fit to be pasted into a bug report: nothing secret is in it."""

from __future__ import annotations

import importlib
import os
import platform
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import handlers
from ..configuration import FIELDS, FILE_VARIABLE, named_file, path_of, system_file, variable_set
from ..service import keys
from ..service.errors import BadInput, RodinError, os_reason
from ..service.proxies import masked
from ..storage.folders import FOLDER_VARIABLE
from ..texts.text import Trouble
from . import write_checks
from .following import open_store
from .host import Host
from .output import Exit, Output
from .voice import SHELL

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_NEEDED = ("requests", "urllib3")
NOT_THERE = "not there"
_NETWORK = ("NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def run(host: Host, output: Output, given: Namespace) -> Exit:
    """Tell all of it, whatever is wrong; that is told once more at the end."""
    facts: dict[str, Any] = {
        "system": platform.platform(),
        "versions": {**host.versions, **_requests()},
        "files": _files(host),
        "hooks": _hooks(),
        "settings": {name: _setting(host, name) for name in FIELDS},
        "environment": _environment(),
        "certificates": _certificates(host),
        "folders": _folders(host),
        "list": _list(host, output),
        "service": _service(host),
    }
    faults = _faults(facts)
    lines = [f"system: {facts['system']}"]
    lines += [f"versions: {name} {version}" for name, version in facts["versions"].items()]
    for kind in ("files", "hooks"):
        lines.append(f"{kind}: {facts[kind]['path'] or 'none'} {facts[kind]['trouble']}".rstrip())
    for name, setting in facts["settings"].items():
        lines.append(f"settings: {name} {setting.get('trouble') or _setting_line(setting)}")
    lines += [f"environment: {name} = {value}" for name, value in facts["environment"].items()]
    trust = facts["certificates"]
    lines.append(f"certificates: {trust['trouble'] or trust['trusted']}")
    for name, folder in facts["folders"].items():
        lines.append(f"folders: {name} {folder['path']} {folder['trouble'] or 'can be written'}")
    found = facts["list"]
    there = "does not exist yet" if found["tasks"] is None else f"with {found['tasks']} tasks"
    lines.append(f"list: {found['path']} {found['trouble'] or there}")
    lines.append(f"service: {facts['service']['address']} {facts['service']['text']}")
    lines += [f"WRONG: {text}" for text in faults]
    output.tell("doctor", "\n".join(lines), **facts, faults=faults)
    return Exit.TROUBLE if faults else Exit.DONE


def _faults(facts: Mapping[str, Any]) -> list[str]:
    missing = [name for name in _NEEDED if facts["versions"][name] == NOT_THERE]
    found = [f"This Python has no {name}, which the commands need: install it." for name in missing]
    found += (facts[kind]["trouble"] for kind in ("files", "hooks", "certificates"))
    found += (f"{name}: {of['trouble']}" for name, of in facts["settings"].items() if "trouble" in of)
    found += (of["trouble"] for of in facts["folders"].values())
    if facts["list"]["trouble"]:
        found.append(f"The list {facts['list']['path']}: {facts['list']['trouble']}")
    if not facts["service"]["ok"]:
        found.append(f"The service: {facts['service']['text']}")
    return list(dict.fromkeys(filter(None, found)))


def _files(host: Host) -> dict[str, str]:
    """The studio's files of settings that are read, and what is wrong with one."""
    paths = [path for path in (str(system_file()), named_file()) if path and Path(path).exists()]
    return {"path": ", ".join(paths), "trouble": host.file_trouble}


def _hooks() -> dict[str, str]:
    trouble = ""
    try:
        handlers.load()
    except BadInput as error:
        trouble = str(error)
    return {"path": handlers.named(), "trouble": trouble}


def _certificates(host: Host) -> dict[str, str]:
    """Whose certificates are trusted, or why none can be."""
    try:
        from ..service import certificates

        return {"trusted": certificates.in_use(str(host.value("ca_file")).strip()), "trouble": ""}
    except (OSError, RodinError, ImportError) as error:
        return {"trusted": "", "trouble": SHELL.say(error.trouble if isinstance(error, RodinError) else str(error))}


def _folders(host: Host) -> dict[str, dict[str, str]]:
    """Those that are written into. Nothing is made."""
    found = {"user": {"path": str(host.folder), "trouble": write_checks.writing_trouble(host.folder)}}
    try:
        downloads = host.downloads
        found["downloads"] = {"path": str(downloads), "trouble": write_checks.writing_trouble(downloads)}
    except BadInput as error:
        found["downloads"] = {"path": "", "trouble": str(error)}
    return found


def _setting(host: Host, name: str) -> dict[str, Any]:
    try:
        found = host.resolve(name)
        if FIELDS[name].is_path:
            path_of(found, None)
        if name == "hand_off_operator":
            host.check_operator(str(found.value))
    except BadInput as error:
        return {"trouble": SHELL.say(error.trouble)}
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
            found[name] = NOT_THERE
    return found


def _list(host: Host, output: Output) -> dict[str, Any]:
    tasks, trouble = None, ""
    try:
        if host.list_path.exists():
            with open_store(host.list_path, output) as store:
                tasks = len(store.tasks())
    except RodinError as error:
        trouble = SHELL.say(error.trouble)
    except OSError as error:
        trouble = os_reason(error)
    return {"path": str(host.list_path), "tasks": tasks, "trouble": trouble}


def _service(host: Host) -> dict[str, Any]:
    settings = host.settings
    trouble: Trouble | str | None = settings.blocker
    if not trouble:
        try:
            from ..service.client import Client

            Client(settings.connection).balance()
        except RodinError as error:
            trouble = error.trouble
        except ImportError:
            trouble = "cannot be asked without requests"
    text = SHELL.say(trouble) or "answers and accepts the API key"
    return {"address": settings.address, "ok": not trouble, "text": text}
