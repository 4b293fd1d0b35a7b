# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are soon full, read-only, or refuse what others grant."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.testing.disks import fill, mounted, preloaded, unmount

__all__ = ["fail_once", "fill", "read_only", "refusing", "small_disk"]


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: Exception) -> None:
    """Have the next call of a method raise the error, whoever makes it, as where the disk is in the way for a moment."""
    method, errors = getattr(owner, name), iter((error,))

    def failing(*given: Any) -> Any:
        for error in errors:
            raise error
        return method(*given)

    monkeypatch.setattr(owner, name, failing)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted(disk, "-t", "tmpfs", "-o", "size=512k", "tmpfs"):
        pytest.skip("needs root on Linux, to mount a small file system")
    yield disk
    unmount(disk)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder that cannot be written, by root neither, and what makes it writable."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if not mounted(folder, "--bind", str(folder)):
        pytest.skip("needs root on Linux, to mount a folder read-only")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,rw,bind", folder], check=True) and None
    unmount(folder)


@pytest.fixture(scope="session")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Makes the environment of a process in which files below a folder are refused things, see refusing.c."""
    library = preloaded(Path(__file__).with_name("refusing.c"), tmp_path_factory.mktemp("refusing"))
    if not library:
        pytest.skip("needs Linux and a C compiler, to have a file system refuse what others grant")

    def environment(below: Path, **refusals: object) -> dict[str, str]:
        refused = {f"REFUSE_{name.upper()}": str(value) for name, value in refusals.items()}
        return {**os.environ, "LD_PRELOAD": str(library), "REFUSE_BELOW": str(below), **refused}

    return environment
