# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set, and where a value comes from: the environment, a studio's files, then the user.

`fields` is the table; `studio` has the files and says which value wins. A value from the environment or a file is
*fixed*: the user's preferences do not change it. No `bpy`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..service import keys
from ..service.errors import BadInput
from ..storage import paths
from ..tasks.schedule import Pace
from ..tasks.templates import Names
from ..texts.actions import Action
from ..texts.text import Text, Trouble
from ..tracking.messages import PENDING, Blocker, Settings
from .field import Field, Value, checked
from .fields import FIELDS, GENERATE, SERVICE_ADDRESS
from .studio import (
    FILE_VARIABLE,
    Setting,
    fixed,
    key_source,
    named_file,
    read_files,
    system_file,
    variable_set,
    wrong_in_environment,
)

__all__ = [
    "FIELDS",
    "FILE_VARIABLE",
    "GENERATE",
    "SERVICE_ADDRESS",
    "Field",
    "NotYet",
    "Setting",
    "Value",
    "fixed",
    "key_source",
    "named_file",
    "path_of",
    "read_files",
    "system_file",
    "template_of",
    "tracker_settings",
    "variable_set",
    "wrong_in_environment",
]


class NotYet(BadInput):
    """A setting's value is still being looked up by a worker; the sentence says which."""


def path_of(setting: Setting, blend_folder: Path | None) -> Path | None:
    """The whole path that a setting says, None for an empty one. See `paths.absolute`. Raises BadInput."""
    written = str(setting.value).strip()
    return paths.absolute(written, blend_folder, shares=setting.fixed) if written else None


def template_of(setting: Setting, name: str) -> str:
    """The template that a setting says, the usual one where it is empty. Raises BadInput for a wrong one."""
    field = FIELDS[name]
    where = Text("{setting} in the preferences is", setting=Text(field.label))
    found = checked(field, setting.value, where)
    return str(found).strip() or str(field.default)


def tracker_settings(
    resolve: Callable[[str], Setting],
    trouble: Text | None,
    *,
    blend_folder: Path | None = None,
    timeout: float = 20.0,
    connection_limit: int = 0,
    offline: Trouble | None = None,
    program: str = "",
) -> Settings:
    """What the tracker is to know, with what keeps it from asking, if anything does.

    `resolve` raises BadInput; `trouble` is `wrong_in_environment`, `blend_folder` that of the .blend file. `offline`
    says why the internet may not be used; a loopback address needs no permission. `program` is what the service is
    told that asks.
    """

    def value(name: str) -> Value:
        return resolve(name).value

    if trouble:
        return Settings(timeout=timeout, blocker=Blocker("settings", trouble))
    try:
        times = (float(value(name)) for name in ("shortest_interval", "longest_interval", "deadline"))
        shortest, longest, deadline = times
        address = keys.service_address(str(value("service_address")))
        pace = Pace(shortest, max(longest, shortest), deadline * 60.0)
        limits = (int(value(name)) for name in ("requests_per_minute", "parallel_generations"))
        requests_per_minute, parallel_generations = limits
        names = Names(*(template_of(resolve(name), name) for name in ("folder_template", "file_template")))
        proxy, ca_file = keys.Secret(str(value("proxy")).strip()), path_of(resolve("ca_file"), blend_folder)
    except BadInput as error:
        return Settings(timeout=timeout, blocker=Blocker("address", error.trouble.text, *error.trouble.actions))
    known = partial(
        Settings,
        timeout=timeout,
        connection_limit=connection_limit,
        pace=pace,
        proxy=proxy,
        ca_file=str(ca_file or ""),
        program=program,
        requests_per_minute=requests_per_minute,
        log_prompts=bool(value("log_prompts")),
        names=names,
        parallel_generations=parallel_generations,
    )
    if offline and not keys.is_loopback(address):
        return known(blocker=offline)
    try:
        api_key = keys.api_key(str(value("api_key")))
    except NotYet as error:
        return known(blocker=Blocker(PENDING, error.trouble.text))
    except BadInput as error:
        return known(blocker=Blocker("bad_key", error.trouble.text))
    if not api_key:
        return known(blocker=Blocker("no_key", "An API key of your Hyper3D account is needed.", Action.GIVE_KEY))
    return known(address, api_key)
