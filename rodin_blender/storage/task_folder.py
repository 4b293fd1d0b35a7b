# SPDX-License-Identifier: GPL-3.0-or-later
"""A task's folder on the disk: what is in it, whether that is whole, and how it is removed.

What begins with a dot there is ours: an unfinished file (`.NAME.part`), which version of it that is (`.NAME.version`),
and the lock (`.lock`). All of these lie in the folder itself, also for files in folders below it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..service.errors import RodinError, os_reason
from ..service.files import HEAD, NEEDED_KINDS, SavedFile, fault, safe_name, stated_size
from ..texts.text import Text
from . import locks
from .disk import replace_file


class FolderLocked(RodinError):
    """Another Blender is saving into the same folder."""

    _code = "being_saved"

    def __init__(self) -> None:
        super().__init__("Another Blender is downloading this task.")


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other Blenders out of a task's folder; a killed one holds nobody up. Raises FolderLocked, OSError."""
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.acquire(folder / ".lock"))
        except locks.Locked:
            raise FolderLocked from None
        yield


def part_of(folder: Path, name: str) -> Path:
    """Where a file lies while it is unfinished. No safe name begins with a dot, so no file of the task is called so."""
    return folder / f".{name.replace('/', '_')}.part"


def version_of(folder: Path, name: str) -> Path:
    """Where it is noted which version of a file its part is of."""
    return folder / f".{name.replace('/', '_')}.version"


NOT_THERE = Text("It is not there.")


def trouble(folder: Path, file: SavedFile) -> Text | None:
    """Why a file is not there as it was saved; None when it is. Its first bytes are read only.

    What the user made of a file is as good as what was saved, unless it looks as if its end were missing.
    """
    try:
        head, size = head_of(folder / file.name)
    except (FileNotFoundError, NotADirectoryError):
        return NOT_THERE
    except OSError as error:
        return Text("It cannot be read: {reason}.", reason=os_reason(error))
    found = fault(file.name, head, size)
    if not found and size < file.size and stated_size(head) is None:
        text = "It is incomplete: {size} of the {whole} bytes that were saved."
        found = Text(text, size=size, whole=file.size)
    return found


def difference(folder: Path, file: SavedFile) -> Text | None:
    """How a file is not what was saved; None where nothing is known to be different. All of it is read."""
    try:
        now = saved_file(folder, file.name)
    except (FileNotFoundError, NotADirectoryError):
        return NOT_THERE
    except OSError as error:
        return Text("It cannot be read: {reason}.", reason=os_reason(error))
    if now.size != file.size:
        return Text("It has {size} bytes, and {whole} were saved.", size=now.size, whole=file.size)
    if file.sha256 and now.sha256 != file.sha256:
        return Text("It has as many bytes as were saved, but not the same.")
    return None


def troubles(folder: str, files: Iterable[SavedFile]) -> dict[str, Text]:
    """The `trouble` of each of a task's files that has one, by name. Without a folder none is there."""
    found = {file.name: trouble(Path(folder), file) if folder else NOT_THERE for file in files}
    return {name: why for name, why in found.items() if why}


def is_needed(name: str) -> bool:
    """Whether a file is a model, or part of one, and not a sidecar."""
    return SavedFile(name, 0).kind in NEEDED_KINDS


def head_of(path: Path) -> tuple[bytes, int]:
    """The first bytes of a file, for `fault`, and its size. Raises OSError."""
    with path.open("rb") as file:
        return file.read(HEAD), os.fstat(file.fileno()).st_size


def saved_file(folder: Path, name: str) -> SavedFile:
    """A file as it lies there now, with its checksum. Raises OSError."""
    with (folder / name).open("rb") as file:
        return SavedFile(name, os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def copy(files: Iterable[SavedFile], here: Path, there: Path) -> None:
    """Have these files in another folder, too. Raises OSError."""
    there.mkdir(parents=True, exist_ok=True)
    for file in files:
        if trouble(there, file):
            part = part_of(there, file.name)
            shutil.copyfile(here / file.name, part)
            replace_file(part, there / file.name)


def set_aside(path: Path) -> None:
    """Give a file that may be the user's another name beside it. Raises OSError."""
    taken = [other.name for other in path.parent.iterdir()]
    replace_file(path, path.with_name(safe_name(f"{path.stem}-before{path.suffix}", taken)))


def remove(folder: Path, names: Iterable[str]) -> tuple[int, dict[str, str]]:
    """Remove these files from a task's folder, what unfinished attempts have left there, and folders that get empty.

    Returns the bytes freed, and why a file is still there, by name. Raises FolderLocked.
    """
    freed, left = 0, {}
    with ExitStack() as stack:
        # Where no lock can be had, as on some full disks, it is tried without.
        with suppress(OSError):
            stack.enter_context(lock_folder(folder))
        for name in names:
            path = folder / name
            try:
                size = path.stat().st_size
                path.unlink()
                freed += size
            except (FileNotFoundError, NotADirectoryError):
                pass
            except OSError as error:
                left[name] = os_reason(error)
            with suppress(OSError):
                for below in path.relative_to(folder).parents[:-1]:
                    (folder / below).rmdir()
        remove_parts(folder)
    with suppress(OSError):
        folder.rmdir()
    return freed, left


def remove_parts(folder: Path, keep: Iterable[str] = ()) -> None:
    """Remove what unfinished attempts have left, but for the files named in `keep`."""
    kept = {way(folder, name) for name in keep for way in (part_of, version_of)}
    with suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(".") and path.name.endswith((".part", ".version")) and path not in kept:
                path.unlink()
