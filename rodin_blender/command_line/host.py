# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command line runs in: a Blender, or plain Python."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ..configuration import (
    FIELDS,
    Setting,
    Value,
    fixed,
    key_source,
    named_file,
    path_of,
    read_files,
    tracker_settings,
    wrong_in_environment,
)
from ..service import keys
from ..service.errors import BadInput
from ..service.keys import Secret
from ..storage import api_key, folders, key_command
from ..storage.paths import NoBlendFile
from ..tasks.task import Task
from ..texts.text import Trouble
from ..tracking.messages import Blocker, Settings


@dataclass(frozen=True)
class Import:
    """How a model is to be imported, see `blender.importing`. None: as the settings say."""

    blend: Path
    height: float | None = None
    as_asset: bool | None = None
    thumbnail: Path | None = None
    join: bool | None = None
    merge_distance: float | None = None
    textures: str | None = None
    max_triangles: int | None = None


Imported = Callable[[Task, Any], None]
Importer = Callable[[list[tuple[Task | None, Path]], Import, Imported], list[str]]
"""Imports models into one file, and calls its last argument with the task and the collection of each that is in it.

Returns for each why it is not, "" where it is; the file is not written where none is. Raises BadInput for what is no
matter of one model, OSError where the file cannot be written.
"""


@dataclass(frozen=True)
class Host:
    """`resolve` gives the value of a setting and where it comes from, and raises BadInput."""

    program: str
    resolve: Callable[[str], Setting]
    folder: Path
    """The user's folder, see `storage.folders`."""
    versions: Mapping[str, str]
    offline: Trouble | None = None
    """Why the internet may not be used; None where it may."""
    timeout: float = 20.0
    import_models: Importer | None = None
    """None where there is no Blender."""
    renew_key: Callable[[], bool] = lambda: False
    """Ask for the API key again after a refusal. Returns whether there is another one now. Raises BadInput."""
    file: Mapping[str, Setting] = field(default_factory=dict)
    """What the studio's files say."""
    file_trouble: str = ""
    """Why nothing is known of them; "" where all is well."""
    check_operator: Callable[[str], object] = lambda _: None
    """Raises BadInput for the name of a download operator that cannot be used. Plain Python knows none."""
    connection_limit: int = 0
    """How many connections may be open at a time; 0 for no limit."""

    def value(self, name: str) -> Value:
        return self.resolve(name).value

    @property
    def settings(self) -> Settings:
        if self.file_trouble:
            return Settings(timeout=self.timeout, blocker=Blocker("settings", self.file_trouble))
        blender = self.versions.get("Blender", "").partition(" ")[0]
        program = f"Blender/{blender}" if blender else ""
        return tracker_settings(
            self.resolve,
            wrong_in_environment(self.file),
            timeout=self.timeout,
            connection_limit=self.connection_limit,
            offline=self.offline,
            program=program,
        )

    def of_batch(self, folder: Path | None) -> Host:
        """The same with a batch's folder, which is like a user's, in its place; itself for None. Raises BadInput."""
        if folder is None:
            return self
        found = replace(self, folder=folder.expanduser().absolute())
        if not found.list_path.exists():
            raise BadInput(f"There is no batch in {found.folder}.")
        return found

    @property
    def list_path(self) -> Path:
        return folders.list_path(self.folder)

    @property
    def outbox(self) -> Path:
        """The folder of what is to be generated."""
        return folders.outbox(self.folder)

    @property
    def downloads(self) -> Path:
        """The folder for the tasks' folders. Raises BadInput."""
        try:
            return path_of(self.resolve("download_folder"), None) or folders.downloads(self.folder)
        except BadInput as error:
            text = str(error)
            if isinstance(error, NoBlendFile):
                text = f"{self.value('download_folder')} lies beside a .blend file, and here is none."
            raise BadInput(f"The download folder cannot be used: {text} Give another one by --to DIR.") from None


class Key:
    """The API key as a command has it. Where a command prints it, that is asked when the key is first needed."""

    def __init__(self, source: Callable[[], tuple[bool, Setting]]) -> None:
        """`source` does what `configuration.key_source` does, and raises BadInput."""
        self._source = source
        self._printed: Secret | None = None

    def setting(self) -> Setting:
        """Raises BadInput where there should be a key and is none."""
        is_command, found = self._source()
        if not is_command:
            return found
        if self._printed is None:
            self._printed = key_command.ask(str(found.value))
        return Setting(self._printed.reveal(), f"the API key command of {found.origin}", found.fixed)

    def renew(self) -> bool:
        """Ask a command again, since its key was refused. Returns whether there is another key now. Raises BadInput."""
        before, self._printed = self._printed, None
        return before is not None and keys.api_key(str(self.setting().value)) != before


def extension_version() -> str:
    """As the manifest has it, which lies beside the package in a checkout and in it where it is installed."""
    package = Path(__file__).parents[1]
    for folder in (package, package.parent):
        with suppress(OSError, ValueError, KeyError):
            return str(tomllib.loads((folder / "blender_manifest.toml").read_text(encoding="utf-8"))["version"])
    return "unknown"


def plain() -> Host:
    """Plain Python."""
    file: dict[str, Setting] = {}
    file_trouble = ""
    try:
        file = read_files(named_file())
    except BadInput as error:
        file_trouble = str(error)
    folder = folders.user_folder()
    key = Key(partial(_key_source, file, folder))

    def resolve(name: str) -> Setting:
        if name == "api_key":
            return key.setting()
        return fixed(name, file) or Setting(FIELDS[name].default, "default", fixed=False)

    versions = {"Rodin": extension_version(), "Python": platform.python_version()}
    known = partial(Host, "python -m rodin_blender", resolve, folder, versions, renew_key=key.renew)
    return known(file=file, file_trouble=file_trouble)


def _key_source(file: Mapping[str, Setting], folder: Path) -> tuple[bool, Setting]:
    """See `configuration.key_source`. Raises BadInput for a kept key that is needed and cannot be read."""
    none = Setting("", "default", fixed=False)
    is_command, found = key_source(file, none, none)
    if not found.value:
        kept = api_key.read(folder)
        found = Setting(kept.reveal(), str(api_key.path_in(folder)), fixed=False) if kept else none
    return is_command, found
