# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the user's things are: one folder for the list of tasks, the downloads and the API key.

It belongs to the user and not to the extension: Blender deletes an extension's own folder when that is uninstalled,
and each Blender version has another one. No `bpy`, and nothing here touches the disk.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .paths import from_start

FOLDER_VARIABLE = "RODIN_FOLDER"
_RESOURCES_VARIABLE = "BLENDER_USER_RESOURCES"
_NAME = "rodin_blender"
OUTBOX = "outbox"
"""The name of the folder of submissions, beside the list."""


def user_folder(resources: Path | None = None) -> Path:
    """The folder of the user's things: the one that RODIN_FOLDER names, else `own_folder`.

    It may not exist yet; making it is for a worker.
    """
    named = os.environ.get(FOLDER_VARIABLE, "").strip()
    return from_start(named) if named else own_folder(resources)


def own_folder(resources: Path | None = None) -> Path:
    """The folder whatever RODIN_FOLDER says: below Blender's resources where those are set apart, else the system's.

    `resources` are those of a Blender that has them apart by itself, as a portable one does.
    """
    named = os.environ.get(_RESOURCES_VARIABLE, "").strip()
    apart = from_start(named) if named else resources
    return (apart or _data_folder()) / _NAME


def list_path(folder: Path) -> Path:
    """The list of tasks in a user's folder."""
    return folder / "tasks.sqlite"


def outbox(folder: Path) -> Path:
    """Where the submissions are, in a user's folder, with copies of their pictures."""
    return folder / OUTBOX


def downloads(folder: Path) -> Path:
    """Where the tasks' folders are, in a user's folder, unless a setting names another place."""
    return folder / "downloads"


def library(folder: Path) -> Path:
    """Where the asset library is, in a user's folder, unless a setting names another place."""
    return folder / "library"


def _data_folder() -> Path:
    """Where the system keeps a program's data for this user."""
    home = Path.home()
    match sys.platform:
        case "win32":
            return Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local")
        case "darwin":
            return home / "Library/Application Support"
        case _:
            named = Path(os.environ.get("XDG_DATA_HOME", ""))
            # A relative one is to be ignored, says the XDG Base Directory Specification.
            return named if named.is_absolute() else home / ".local/share"
