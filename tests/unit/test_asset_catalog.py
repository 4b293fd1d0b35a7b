# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog in an asset library's own list: added once, and nothing else in the list is touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rodin_blender.storage import asset_catalog
from rodin_blender.storage.asset_catalog import CATALOG_ID
from tests.unit import disks

read_only, small_disk = disks.read_only, disks.small_disk
LIST = "blender_assets.cats.txt"
LINE = f"{CATALOG_ID}:Rodin:Rodin\n".encode()
MINE = b"VERSION 1\n\n5b1cbb52-6b43-4a3f-9d6b-0a1b2c3d4e5f:M\xc3\xb6bel/St\xc3\xbchle:M\xc3\xb6bel-St\xc3\xbchle\n"


def test_a_library_without_a_list_gets_one(tmp_path: Path) -> None:
    asset_catalog.add(tmp_path)
    content = (tmp_path / LIST).read_bytes()
    assert content.endswith(LINE)
    lines = [line for line in content.decode().splitlines() if line and not line.startswith("#")]
    assert lines == ["VERSION 1", f"{CATALOG_ID}:Rodin:Rodin"]
    assert os.listdir(tmp_path) == [LIST]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (MINE, MINE + LINE),
        (MINE.rstrip(b"\n"), MINE + LINE),
        (MINE.replace(b"\n", b"\r\n"), MINE.replace(b"\n", b"\r\n") + LINE),
        (b"not UTF-8: \xff\xfe\n", b"not UTF-8: \xff\xfe\n" + LINE),
    ],
)
def test_a_list_that_is_there_gets_one_line_and_stays_as_it_is(tmp_path: Path, before: bytes, after: bytes) -> None:
    (tmp_path / LIST).write_bytes(before)
    for _ in range(2):
        asset_catalog.add(tmp_path)
        assert (tmp_path / LIST).read_bytes() == after
    assert os.listdir(tmp_path) == [LIST]


@pytest.mark.parametrize("line", [LINE, LINE.rstrip(), LINE.replace(b"Rodin:Rodin", b"Mine/Rodin:Mine-Rodin"), b"#" + LINE])
def test_a_catalog_that_is_there_stays_as_the_user_made_it(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / LIST
    path.write_bytes(MINE + line)
    before = path.stat()
    asset_catalog.add(tmp_path)
    assert path.read_bytes() == MINE + line
    assert path.stat().st_mtime_ns == before.st_mtime_ns and path.stat().st_ino == before.st_ino


def test_a_folder_that_cannot_be_written_is_an_error_and_the_list_stays(read_only, tmp_path: Path) -> None:
    folder, make_writable = read_only
    with pytest.raises(OSError) as caught:
        asset_catalog.add(folder)
    assert caught.value.errno == errno.EROFS
    assert os.listdir(folder) == []
    make_writable()
    asset_catalog.add(folder)
    assert os.listdir(folder) == [LIST]
    with pytest.raises(FileNotFoundError):
        asset_catalog.add(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_a_full_disk_is_an_error_and_the_list_stays(small_disk: Path) -> None:
    (small_disk / LIST).write_bytes(MINE * 100)
    disks.fill(small_disk)
    with pytest.raises(OSError) as caught:
        asset_catalog.add(small_disk)
    assert caught.value.errno == errno.ENOSPC
    assert (small_disk / LIST).read_bytes() == MINE * 100
    assert sorted(os.listdir(small_disk)) == [LIST, "filler"]
