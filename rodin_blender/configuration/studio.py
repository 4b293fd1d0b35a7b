# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's files of settings, TOML with the names of `FIELDS` at the top level, and which value wins.

Two files are read: one at a place of the whole system, which only its administrator can write, and the one that
RODIN_CONFIG names. What either locks (`locked = ["proxy"]`, or `locked = true` for all that it sets) the environment
does not change; the file of the system goes before the other one there. A value may be a table with one for each
system. Only `read_files` touches the disk.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..service import keys
from ..service.errors import BadInput, os_reason
from ..storage import paths
from ..texts.text import Text
from .field import Value, checked, from_text
from .fields import FIELDS

FILE_VARIABLE = "RODIN_CONFIG"
LOCKED = "locked"
"""What names the locked settings in a file."""
_SYSTEMS = ("linux", "macos", "windows")


@dataclass(frozen=True)
class Setting:
    """A value in use. `source` is "$VARIABLE", the file's path, or where else it comes from.

    `fixed` says whether the user's preferences are kept from changing it, `locked` whether the environment is, too.
    """

    value: Value
    source: str
    fixed: bool = True
    locked: bool = False

    @property
    def origin(self) -> Text:
        """The source in words."""
        if self.source.startswith("$"):
            return Text("the environment variable {variable}", variable=self.source[1:])
        return {"preferences": Text("the preferences")}.get(self.source) or Text("{source}", source=self.source)


def fixed(name: str, file: Mapping[str, Setting], environment: Mapping[str, str] = os.environ) -> Setting | None:
    """The value of a field from the environment, else from files that were read. Raises BadInput for a wrong one."""
    field, of_file = FIELDS[name], file.get(name)
    variable = variable_set(name, environment)
    if not variable or (of_file and of_file.locked):
        return of_file
    text = environment[variable].strip()
    where = Text("The environment variable {variable} holds", variable=variable)
    return Setting(from_text(field, text, where), f"${variable}")


def variable_set(name: str, environment: Mapping[str, str] = os.environ) -> str:
    """The variable of the environment that has a value for a field; "" for none."""
    return next((variable for variable in FIELDS[name].variables if environment.get(variable, "").strip()), "")


def key_source(
    file: Mapping[str, Setting], kept: Setting, command: Setting, environment: Mapping[str, str] = os.environ
) -> tuple[bool, Setting]:
    """Where the API key comes from, and whether that is a command that prints it.

    In the environment, in the file and with the user's own settings a key goes before a command; what is locked goes
    before all. `kept` is the key in the user's folder, `command` the one of the user's preferences.
    """
    of_file = ((False, file.get("api_key")), (True, file.get("api_key_command")))
    places = (
        *((is_command, found) for is_command, found in of_file if found and found.locked),
        (False, fixed("api_key", {}, environment)),
        (True, fixed("api_key_command", {}, environment)),
        *of_file,
        (False, kept),
        (True, command),
    )
    return next(((is_command, found) for is_command, found in places if found and found.value), (False, kept))


def wrong_in_environment(file: Mapping[str, Setting], environment: Mapping[str, str] = os.environ) -> Text | None:
    """What is wrong among the environment's variables that count, None for nothing."""
    try:
        for name in FIELDS:
            fixed(name, file, environment)
    except BadInput as error:
        return error.trouble.text
    return None


def named_file() -> str:
    """The whole path of the studio's file that the environment names, "" where it names none."""
    named = os.environ.get(FILE_VARIABLE, "").strip()
    return str(paths.from_start(named)) if named else ""


def system_file() -> Path:
    """The place of the whole system's file."""
    if sys.platform == "win32":
        import ctypes

        # The folder is not read from the variable ProgramData, which a user can set.
        folder = ctypes.create_unicode_buffer(260)
        ctypes.windll.shell32.SHGetFolderPathW(None, 0x23, None, 0, folder)
        return Path(folder.value or r"C:\ProgramData") / "rodin_blender" / "config.toml"
    above = Path("/Library/Application Support") if sys.platform == "darwin" else Path("/etc")
    return above / "rodin_blender" / "config.toml"


def read_files(named: str) -> dict[str, Setting]:
    """The values of the system's file, where there is one, and of the one that RODIN_CONFIG names ("" for none).

    Raises BadInput with what is wrong and where.
    """
    of_system = system_file()
    try:
        found = _read(of_system, Text("The studio's file of settings"))
    except FileNotFoundError:
        found = {}
    if named:
        path = Path(named)
        what = Text("The file that {variable} names", variable=FILE_VARIABLE)
        try:
            of_named = _read(path, what)
        except FileNotFoundError as error:
            raise BadInput(_unreadable(what, path, error)) from None
        found |= {name: setting for name, setting in of_named.items() if not (name in found and found[name].locked)}
    return found


def _unreadable(what: Text, path: Path, error: OSError) -> Text:
    return Text("{what} cannot be read ({path}): {reason}.", what=what, path=str(path), reason=os_reason(error))


def _read(path: Path, what: Text) -> dict[str, Setting]:
    """Raises BadInput, FileNotFoundError."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadInput(_unreadable(what, path, error)) from None
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError tells line and column and not the content; so do the decoder's errors.
        reason = keys.printable(str(error), 120).rstrip(".")
        text = "{what} is no TOML ({path}): {reason}."
        raise BadInput(Text(text, what=what, path=str(path), reason=reason)) from None
    locked = _names(content.pop(LOCKED, []), content, path)
    values = {}
    for name, value in content.items():
        if name not in FIELDS:
            text = "{path} sets '{name}', which is not known; known are {names}."
            raise BadInput(Text(text, path=str(path), name=keys.printable(name, 40), names=", ".join(FIELDS)))
        where = Text("{path} sets {name} to", path=str(path), name=name)
        if isinstance(value, dict):
            _check_systems(value, where)
            if paths.SYSTEM not in value:
                continue
            value = value[paths.SYSTEM]  # noqa: PLW2901, it is the one that counts here
        values[name] = Setting(checked(FIELDS[name], value, where), str(path), locked=name in locked)
    return values


def _check_systems(table: Mapping[str, object], where: Text) -> None:
    """Raises BadInput for a table that is not one with a value for each system."""
    for system in table:
        if system not in _SYSTEMS:
            text = "{where} a table with '{system}'; {names} are the names that count."
            raise BadInput(Text(text, where=where, system=keys.printable(system, 40), names=", ".join(_SYSTEMS)))


def _names(locked: object, content: Mapping[str, object], path: Path) -> frozenset[str]:
    """The names of the locked settings. Raises BadInput."""
    if isinstance(locked, bool):
        return frozenset(content) if locked else frozenset()
    if not isinstance(locked, list) or not all(isinstance(name, str) for name in locked):
        text = "{path} sets {name} to something that is neither true nor a list of names of settings."
        raise BadInput(Text(text, path=str(path), name=LOCKED))
    for name in locked:
        if name not in content:
            # A locked name without a value would look as if it were locked.
            text = "{path} locks '{name}', which it does not set."
            raise BadInput(Text(text, path=str(path), name=keys.printable(name, 40)))
    return frozenset(locked)

