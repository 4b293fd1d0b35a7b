# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are soon full, read-only, or refuse what others grant."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.testing.disks import fill

__all__ = ["fill", "read_only", "refusing", "small_disk"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs root on Linux, to mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("this system does not let us mount a small file system")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A folder that cannot be written, by root neither, and what makes it writable."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs root on Linux, to mount a folder read-only")
    folder = tmp_path / "read-only"
    folder.mkdir()
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        pytest.skip("this system does not let us mount a folder")
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield folder, lambda: subprocess.run(["mount", "-o", "remount,rw,bind", folder], check=True) and None
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture(scope="session")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """Makes the environment of a process in which files below a folder are refused things, see refusing.c."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not sys.platform.startswith("linux") or not compiler:
        pytest.skip("needs Linux and a C compiler, to have a file system refuse what others grant")
    library = tmp_path_factory.mktemp("refusing") / "refusing.so"
    source = Path(__file__).with_name("refusing.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)

    def environment(below: Path, **refusals: object) -> dict[str, str]:
        refused = {f"REFUSE_{name.upper()}": str(value) for name, value in refusals.items()}
        return {**os.environ, "LD_PRELOAD": str(library), "REFUSE_BELOW": str(below), **refused}

    return environment
