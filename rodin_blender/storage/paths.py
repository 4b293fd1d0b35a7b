# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths as a user or a studio writes them: with variables, `~`, and Blender's `//` for the folder of the .blend file.

No setting is ever taken relative to the current folder, which is another one in each program. Nothing here touches the
disk, but that `~` may ask the system for a home folder.

Two slashes mean two things: Blender's own, and the beginning of a network share. In Blender's preferences (`shares`
false) they are always Blender's. In the environment and a studio's file, `//NAME`, `//./…` and `//../…` are Blender's,
and `//SERVER/SHARE…` is a share on Windows and a mistake elsewhere.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from ..service.errors import BadInput
from ..texts.text import Text

WINDOWS = sys.platform == "win32"
SYSTEM = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
"""What this system is called in a studio's file."""

try:
    _STARTED_IN = Path.cwd()
except OSError:
    _STARTED_IN = Path.home()  # Somebody has removed it.

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<braces>\w+)\}|(?P<plain>\w+))")
_VARIABLE_OR_PERCENT = re.compile(_VARIABLE.pattern + r"|%(?P<percent>\w+)%")


def check(written: str) -> None:
    """Raises BadInput for what cannot be a whole path, whatever its variables hold."""
    try:
        absolute(written, Path(Path.cwd().anchor), shares=True)
    except UndefinedVariable:
        # It may be defined by the time the path is needed: tools in Blender set variables, too.
        return


def from_start(written: str) -> Path:
    """The whole path that a variable of the environment says.

    A relative one is meant from the folder that the program was started in, whatever is the current one later.
    """
    # Unlike `Path.expanduser` this one does not raise for a user who is not known: nothing is found there then.
    return Path(_STARTED_IN, os.path.expanduser(written))  # noqa: PTH111


class UndefinedVariable(BadInput):
    """A path names a variable that is not set."""


class NoBlendFile(BadInput):
    """A path lies beside the .blend file, and there is none."""


def absolute(
    written: str,
    blend_folder: Path | None,
    *,
    shares: bool,
    environment: Mapping[str, str] = os.environ,
    windows: bool = WINDOWS,
) -> Path:
    """The whole path that is meant. `blend_folder` is that of the .blend file, None where it was never saved.

    `shares` says whether `//SERVER/SHARE` may be meant, see above. Raises BadInput that says what to write instead,
    UndefinedVariable, NoBlendFile.
    """
    text = _with_variables(written.strip(), environment, windows=windows)
    if text.startswith("//"):
        if not shares or _is_beside_blend(text):
            if blend_folder is None:
                told = "{path} lies beside the .blend file, which is not saved yet."
                raise NoBlendFile(Text(told, path=written))
            return Path(os.path.normpath(blend_folder / text[2:].replace("\\", "/")))
        if not windows:
            raise BadInput(
                Text(
                    "{path} is a network share, which only Windows has: write {beside} for a folder beside the .blend "
                    "file, or give each system a path of its own.",
                    path=written,
                    beside=f"//.{text[1:]}",
                )
            )
    pure: PurePath = PureWindowsPath(text) if windows else PurePosixPath(text)
    if text.startswith("~"):
        try:
            pure = Path(text).expanduser()
        except RuntimeError:
            raise BadInput(Text("{path} names a user whose home folder is not known.", path=written)) from None
    if not pure.is_absolute():
        example = r"P:/show/rodin or \\server\share" if windows else "/show/rodin or ~/rodin"
        told = "{path} is no whole path: write one such as {example}, or //rodin beside the .blend file."
        raise BadInput(Text(told, path=written, example=example))
    return Path(pure)


def _is_beside_blend(text: str) -> bool:
    """Whether two slashes at the beginning are Blender's, where a share may be meant, too."""
    first, _, rest = text[2:].replace("\\", "/").partition("/")
    return first in (".", "..") or not rest.strip("/")


def _with_variables(written: str, environment: Mapping[str, str], *, windows: bool) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(match.lastgroup or 0)
        if match.lastgroup == "dollar":
            return "$"
        if not environment.get(name):
            told = "{path} names the variable {name}, which is not set."
            raise UndefinedVariable(Text(told, path=written, name=name))
        return environment[name]

    text = (_VARIABLE_OR_PERCENT if windows else _VARIABLE).sub(value, written)
    if "${" in _VARIABLE.sub("", written):
        told = "{path} has a $ with a brace that is no variable: write {variable}, or $$ for a $."
        raise BadInput(Text(told, path=written, variable="${NAME}"))
    return text
