# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line runs in: a Blender, or plain Python."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..configuration import FIELDS, Setting, Value, fixed, list_folder, named_file, read_file, tracker_settings
from ..service.errors import BadInput
from ..tasks.task import Task
from ..tracking.messages import Settings


@dataclass(frozen=True)
class Import:
    """How a model is to be imported, see `blender.importing`. None: as the settings say."""

    blend: Path
    height: float | None = None
    as_asset: bool | None = None
    thumbnail: Path | None = None


@dataclass(frozen=True)
class Host:
    """`resolve` gives the value of a setting and where it comes from, and raises BadInput."""

    program: str
    resolve: Callable[[str], Setting]
    folder: Path
    """Where the list of tasks is."""
    versions: Mapping[str, str]
    offline: str = ""
    """Why the internet may not be used; "" where it may."""
    timeout: float = 20.0
    import_models: Callable[[list[tuple[Task | None, Path]], Import], None] | None = None
    """None where there is no Blender. Raises BadInput."""

    def value(self, name: str) -> Value:
        return self.resolve(name).value

    @property
    def settings(self) -> Settings:
        return tracker_settings(self.value, timeout=self.timeout, offline=self.offline)

    @property
    def list_path(self) -> Path:
        return self.folder / "tasks.sqlite"

    @property
    def downloads(self) -> Path:
        """The folder for the tasks' folders. Raises BadInput."""
        wish = str(self.value("download_folder"))
        if wish.startswith("//"):
            raise BadInput(f"The download folder {wish} lies beside a .blend file, and here is none: give --to DIR.")
        return Path(wish).expanduser().absolute() if wish else self.folder / "downloads"


def plain() -> Host:
    """Plain Python. Raises BadInput for a studio's file that cannot be used."""
    named = named_file()
    file = read_file(Path(named)) if named else {}

    def resolve(name: str) -> Setting:
        return fixed(name, file) or Setting(FIELDS[name].default, "default", fixed=False)

    folder = list_folder() or _user_data()
    return Host("python -m rodin_blender", resolve, folder, {"Python": platform.python_version()})


def _user_data() -> Path:
    home = Path.home()
    match sys.platform:
        case "win32":
            folder = Path(os.environ.get("LOCALAPPDATA") or home / "AppData/Local")
        case "darwin":
            folder = home / "Library/Application Support"
        case _:
            folder = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    return folder / "rodin_blender"
