# SPDX-License-Identifier: GPL-3.0-or-later
"""A disk that is soon full."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.testing.disks import fill

__all__ = ["fill", "read_only", "small_disk"]


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
