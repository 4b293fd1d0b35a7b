# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks that are small or full, what the system is to refuse a process, and a file that says it is whole."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path


def mounted(folder: Path, *options: str) -> bool:
    """Whether something could be mounted there."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    return not subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False).returncode


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)


def preloaded(source: Path, folder: Path) -> Path | None:
    """A library of this C source for LD_PRELOAD; None where this machine cannot have one."""
    library, compiler = folder / f"{source.stem}.so", shutil.which("cc") or shutil.which("gcc")
    if not sys.platform.startswith("linux") or not compiler:
        return None
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def fill(disk: Path) -> Path:
    """Leave no room on a disk. Returns the file that takes it."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return filler


def glb(size: int, fill: bytes = b"g") -> bytes:
    """A model by its head, which states its size."""
    return struct.pack("<4sII", b"glTF", 2, size) + fill * (size - 12)
