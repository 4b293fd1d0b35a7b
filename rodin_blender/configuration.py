# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be set, and where a value comes from: the environment, a studio's file, then the user.

The file is TOML, named by RODIN_CONFIG, with the names of `FIELDS` at its top level. A value from the environment or
the file is *fixed*: the user's preferences do not change it. No `bpy`, and only `read_file` touches the disk.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .service import keys
from .service.errors import BadInput
from .tasks.options import OPTIONS, Option
from .tasks.schedule import Pace
from .tracking.messages import Obstacle, Settings

FILE_VARIABLE = "RODIN_CONFIG"
SERVICE_ADDRESS = "https://api.hyper3d.com/api/v2"

Value = str | int | float | bool


@dataclass(frozen=True)
class Field:
    """Something that can be set. `variables` are those of the environment, the first that is set wins."""

    name: str
    default: Value
    low: float = 0.0
    high: float = 0.0
    choices: tuple[str, ...] = ()
    older_variables: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        return self.older_variables or (f"RODIN_{self.name.upper()}",)


GENERATE = "generate_"
"""What the names of those settings begin with that are options of a generation."""


def _of_option(option: Option) -> Field:
    """What an option is until the form or a command line says otherwise."""
    # 0 or -1, as the option has it, is the number that leaves the matter to the service.
    low = min(option.low, option.default) if isinstance(option.default, int) else option.low
    return Field(f"{GENERATE}{option.name}", option.default, low, option.high, option.choices)


FIELDS = {
    field.name: field
    for field in (
        Field("api_key", "", older_variables=("RODIN_API_KEY", "HYPER3D_API_KEY")),
        # A command whose output's first line is the key, see `storage.key_command`.
        Field("api_key_command", ""),
        Field("service_address", SERVICE_ADDRESS, older_variables=("RODIN_API_URL",)),
        # http://NAME:PASSWORD@HOST:PORT; without one, the system's.
        Field("proxy", ""),
        # The path of a PEM file.
        Field("ca_file", ""),
        # Seconds.
        Field("shortest_interval", 5.0, 1.0, 300.0),
        Field("longest_interval", 30.0, 1.0, 3600.0),
        # Minutes.
        Field("deadline", 20.0, 0.1, 7 * 24 * 60.0),
        Field("hand_off_operator", "rodin.download"),
        Field("download_folder", ""),
        Field("download_when_done", False),
        Field("import_when_done", False),
        Field("import_after_download", True),
        Field("import_location", "CURSOR", choices=("CURSOR", "ORIGIN")),
        # Meters; 0 leaves a model as it is.
        Field("import_height", 0.0, 0.0, 1e6),
        Field("import_as_asset", False),
        # Cameras and lights of a model's file.
        Field("import_companions", False),
        # Gigabytes; 0 for no hint.
        Field("storage_hint", 5.0, 0.0, 1e6),
        # Whether tasks may be begun here, or followed only.
        Field("allow_generation", True),
        # Credits; 0 for no limit.
        Field("max_credits_per_task", 0.0, 0.0, 1e6),
        *(_of_option(option) for option in OPTIONS.values()),
    )
}


@dataclass(frozen=True)
class Setting:
    """A value in use. `source` is "$VARIABLE", the file's path, or where else it comes from.

    `fixed` says whether the user's preferences are kept from changing it.
    """

    value: Value
    source: str
    fixed: bool = True

    @property
    def origin(self) -> str:
        """The source in words."""
        return f"the environment variable {self.source[1:]}" if self.source.startswith("$") else self.source


def fixed(name: str, file: Mapping[str, Setting], environment: Mapping[str, str] = os.environ) -> Setting | None:
    """The value of a field from the environment, else from a file that was read. Raises BadInput for a wrong one."""
    field = FIELDS[name]
    for variable in field.variables:
        text = environment.get(variable, "").strip()
        if text:
            return Setting(_from_text(field, text, variable), f"${variable}")
    return file.get(name)


def key_source(
    file: Mapping[str, Setting], kept: Setting, command: Setting, environment: Mapping[str, str] = os.environ
) -> tuple[bool, Setting]:
    """Where the API key comes from, and whether that is a command that prints it.

    In the environment, in the file and with the user's own settings a key goes before a command. `kept` is the key in
    the user's folder, `command` the one of the user's preferences.
    """
    places = (
        (False, fixed("api_key", {}, environment)),
        (True, fixed("api_key_command", {}, environment)),
        (False, file.get("api_key")),
        (True, file.get("api_key_command")),
        (False, kept),
        (True, command),
    )
    return next(((is_command, found) for is_command, found in places if found and found.value), (False, kept))


class NotYet(BadInput):
    """A setting's value is still being looked up by a worker; the sentence says which."""


def wrong_in_environment() -> str:
    """What is wrong among the environment's variables, "" for nothing."""
    try:
        for name in FIELDS:
            fixed(name, {})
    except BadInput as error:
        return str(error)
    return ""


def named_file() -> str:
    """The studio's file that the environment names, "" where it names none."""
    return os.environ.get(FILE_VARIABLE, "").strip()


def read_file(path: Path) -> dict[str, Setting]:
    """The values of a studio's file. Raises BadInput with what is wrong and where."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadInput(f"The file that {FILE_VARIABLE} names cannot be read ({path}): {reason}.") from None
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError tells line and column and not the content; so do the decoder's errors.
        reason = keys.shown(str(error), 120).rstrip(".")
        raise BadInput(f"The file that {FILE_VARIABLE} names is no TOML ({path}): {reason}.") from None
    values = {}
    for name, value in content.items():
        if name not in FIELDS:
            raise BadInput(f"{path} sets '{keys.shown(name, 40)}', which is not known; known are {', '.join(FIELDS)}.")
        values[name] = Setting(_checked(FIELDS[name], value, f"{path} sets {name} to"), str(path))
    return values


def tracker_settings(
    resolve: Callable[[str], Value], *, timeout: float = 20.0, offline: str = "", program: str = ""
) -> Settings:
    """What the tracker is to know, with what keeps it from asking, if anything does.

    `resolve` gives the value of a field, and raises BadInput. `offline` says why the internet may not be used; a
    loopback address needs no permission. `program` is what the service is told that asks.
    """
    trouble = wrong_in_environment()
    if trouble:
        return Settings(timeout=timeout, obstacle=Obstacle("settings", trouble))
    try:
        times = (float(resolve(name)) for name in ("shortest_interval", "longest_interval", "deadline"))
        shortest, longest, deadline = times
        address = keys.service_address(str(resolve("service_address")))
        pace = Pace(shortest, max(longest, shortest), deadline * 60.0)
        proxy, ca_file = keys.Secret(str(resolve("proxy")).strip()), str(resolve("ca_file")).strip()
    except BadInput as error:
        return Settings(timeout=timeout, obstacle=Obstacle("address", str(error)))
    known = partial(Settings, timeout=timeout, pace=pace, proxy=proxy, ca_file=ca_file, program=program)
    if offline and not keys.is_loopback(address):
        return known(obstacle=Obstacle("offline", offline))
    try:
        api_key = keys.api_key(str(resolve("api_key")))
    except NotYet as error:
        return known(obstacle=Obstacle("settings", str(error)))
    except BadInput as error:
        return known(obstacle=Obstacle("bad_key", str(error)))
    if not api_key:
        return known(obstacle=Obstacle("no_key", "An API key of your Hyper3D account is needed."))
    return known(address, api_key)


def _from_text(field: Field, text: str, variable: str) -> Value:
    where = f"The environment variable {variable} holds"
    if isinstance(field.default, bool):
        value = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(("0", "false", "no", "off"), False)
        return _checked(field, value.get(text.lower()), where)
    if isinstance(field.default, (int, float)):
        try:
            return _checked(field, type(field.default)(text), where)
        except ValueError:
            return _checked(field, None, where)
    return _checked(field, text, where)


def _checked(field: Field, value: object, where: str) -> Value:
    # What is wrong is not quoted: it may be a key in the wrong place.
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise BadInput(f"{where} something that is neither true nor false.")
        return value
    if isinstance(field.default, (int, float)):
        whole = isinstance(field.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            raise BadInput(f"{where} something that is no {'whole ' if whole else ''}number.")
        if not field.low <= value <= field.high:
            raise BadInput(f"{where} a number that is not between {_number(field.low)} and {_number(field.high)}.")
        return type(field.default)(value)
    if not isinstance(value, str):
        raise BadInput(f"{where} something that is no text.")
    if field.choices and value not in field.choices:
        raise BadInput(f"{where} something else than {' or '.join(filter(None, field.choices))}.")
    return value


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
