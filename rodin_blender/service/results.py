# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished task's files, saved into a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from .client import Client
from .errors import BadAnswer, RodinError

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST_NAME = 100


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
        part = path.with_name(path.name + ".part")
        try:
            if not path.exists():
                folder.mkdir(parents=True, exist_ok=True)
                with part.open("wb") as output:
                    for piece in client.fetch(file):
                        output.write(piece)
                    output.flush()
                    os.fsync(output.fileno())
                os.replace(part, path)
        except OSError as error:
            raise NotSaved(f"{path} cannot be written: {error.strerror or type(error).__name__}.") from None
        finally:
            part.unlink(missing_ok=True)
        saved.append(path)
    return saved


def safe_name(name: str, taken: set[str]) -> str:
    """A file name made of a foreign one: stays in its folder, valid on every system, none of `taken` in any case."""
    name = _FORBIDDEN.sub("_", re.split(r"[/\\]", name)[-1]).strip(" .")
    name = "".join(c for c in name if c.isprintable()) or "file"
    if _RESERVED.fullmatch(name):
        name = "_" + name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending) > 12:
        stem, dot, ending = name, "", ""
    stem = stem[: _LONGEST_NAME - len(ending)]
    used = {other.casefold() for other in taken}
    candidate, number = stem + dot + ending, 2
    while candidate.casefold() in used:
        candidate = f"{stem}-{number}{dot}{ending}"
        number += 1
    return candidate
