# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether files and folders that a command is to write can be written, seen to before it does anything else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..service.errors import BadInput
from ..storage.disk import write_reason
from .following import CommandEnd
from .output import Exit


def check_file(path: Path, option: str, suffix: str) -> None:
    """Raises BadInput for a name that is wrong, CommandEnd where its folder cannot be written."""
    if path.suffix.lower() != suffix:
        raise BadInput(f"{option} takes the name of a {suffix} file, and {path} is none.")
    if path.is_dir():
        raise BadInput(f"{option} takes the name of a file, and {path} is a folder.")
    if not path.parent.is_dir():
        raise BadInput(f"{option} names a file in {path.parent}, and there is no such folder.")
    _check_writable(path.parent)


def check_folder(path: Path) -> None:
    """A folder that is made if need be. Raises BadInput, CommandEnd."""
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is to be a folder, and there is a file of that name.")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandEnd(Exit.TROUBLE, f"{_not_written(path, error)} Nothing was done.") from None
    _check_writable(path)


def _check_writable(folder: Path) -> None:
    trouble = writing_trouble(folder)
    if trouble:
        raise CommandEnd(Exit.TROUBLE, f"{trouble} Nothing was done.")


def writing_trouble(folder: Path) -> str:
    """Why nothing can be written into a folder, or where that is to be made; "" where it can. Leaves no trace."""
    there = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return _not_written(there, error)


def _not_written(folder: Path, error: OSError) -> str:
    return f"Nothing can be written into {folder}: {write_reason(error, folder)}."
