# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished task's files, saved into a folder."""

from __future__ import annotations

import glob
import os
import re
import secrets
import time
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .client import Client
from .errors import BadAnswer, RodinError

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
_LONGEST_NAME = 100
"""In bytes, which is what file systems count."""
_PART_ABANDONED = 3600.0
"""Seconds without a write after which nobody is at a part any more."""


class NotSaved(RodinError):
    """A file cannot be written; the sentence names it and the reason."""


def save(client: Client, task_uuid: str, folder: Path, report: Callable[[str], None]) -> list[Path]:
    """Fetch all files of a task into `folder`, which is made. Returns their paths in the service's order.

    A file that is there already is kept and not fetched again: a final name is given to complete files only.
    `report` is told in a few words what goes on. Raises ServiceError and NotSaved.
    """
    files = client.download_list(task_uuid)
    if not files:
        raise BadAnswer(200, "The service lists no files for this task. Wait a minute and press Download again.")
    saved: list[Path] = []
    for number, file in enumerate(files, 1):
        path = folder / safe_name(file.name, {path.name for path in saved})
        report(f"Downloading {number} of {len(files)}: {path.name}")
        # No safe name begins with a dot, so this is never the name of another file of the task; and never that of
        # another Blender's part of the same file.
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as output:
                    for piece in client.fetch(file):
                        output.write(piece)
                    output.flush()
                    os.fsync(output.fileno())
                part.replace(path)
                _clear_parts(path)
        except OSError as error:
            raise NotSaved(f"{path} cannot be written: {error.strerror or type(error).__name__}.") from None
        finally:
            # It fails again where the folder itself is the trouble, which has been told by then.
            with suppress(OSError):
                part.unlink()
        saved.append(path)
    return saved


def _clear_parts(path: Path) -> None:
    """Remove what a crash left of earlier attempts at a file; not what another Blender is writing now."""
    with suppress(OSError):
        for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
            if part.stat().st_mtime < time.time() - _PART_ABANDONED:
                part.unlink()


def safe_name(name: str, taken: set[str]) -> str:
    """A file name made of a foreign one: stays in its folder, valid on every system, none of `taken` in any case."""
    # Composed, since some systems hold composed and decomposed letters for the same.
    name = unicodedata.normalize("NFC", _FORBIDDEN.sub("_", re.split(r"[/\\]", name)[-1]))
    # Stripped last: what is hidden around dots must not leave a bare "..".
    name = "".join(c for c in name if c.isprintable()).strip(" .") or "file"
    if _RESERVED.fullmatch(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 12:
        stem, dot, ending = name, "", ""
    stem = stem.encode()[: _LONGEST_NAME - len(ending.encode())].decode(errors="ignore").rstrip(" .")
    used = {other.casefold() for other in taken}
    candidate, number = stem + dot + ending, 2
    while candidate.casefold() in used:
        candidate = f"{stem}-{number}{dot}{ending}"
        number += 1
    return candidate
