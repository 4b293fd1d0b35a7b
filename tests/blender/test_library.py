"""Models into the asset library, each by a real second Blender in the background."""

from __future__ import annotations

import dataclasses
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import bpy
import pytest
from conftest import Rodin, rodin_threads, wait_for_no_thread
from test_extension import IS_MODULE, PROGRAM

ROOM = 120.0
"""Seconds for a second Blender on a busy machine."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Blender as a module has no program; a script may name one."""
    if IS_MODULE:
        path = tmp_path_factory.mktemp("program") / "blender"
        path.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
        path.chmod(0o755)
        bpy.app.binary_path = str(path)


@pytest.fixture
def folder(program: None, rodin: Rodin, tmp_path: Path) -> Iterator[Path]:
    """An empty library, a Blender to start, and preferences that the second one reads."""
    known = bpy.context.preferences.filepaths.asset_libraries
    before = {library.path for library in known}
    path = tmp_path / "library"
    rodin.preferences.library_folder = str(path)
    bpy.ops.wm.save_userpref()
    yield path
    rodin.preferences.property_unset("library_folder")
    for library in [library for library in known if library.path not in before]:
        known.remove(library)


def send(rodin: Rodin, task_id: str) -> None:
    assert bpy.ops.rodin.send_to_library(task_id=task_id) == {"FINISHED"}
    assert task_id in rodin.app.library.pending
    rodin.until(lambda: not rodin.app.library.pending, "it is in the library", ROOM)


def children() -> list[int]:
    """The processes that this one has started and that live."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.append(int(path.parent.name))
    return sorted(found)


@pytest.mark.skipif(not IS_MODULE, reason="this Blender has a program")
def test_a_module_says_that_it_cannot_start_a_blender(rodin: Rodin, saved: Callable[..., str]) -> None:
    task_id = saved()
    with pytest.raises(RuntimeError, match="This Blender is a Python module"):
        bpy.ops.rodin.send_to_library(task_id=task_id)


def test_a_model_is_written_with_picture_tags_and_prompt_and_again_is_a_new_version(
    rodin: Rodin, saved: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = saved(prompt="A glazed vase, blue")
    # What a task that was begun here has.
    rodin.app.tracker().change(task_id, lambda task: dataclasses.replace(task, prompt="A vase, glazed in blue"))
    rodin.until(lambda: rodin.item(task_id).prompt, "the prompt is stored")
    rodin.preferences.import_height = 0.5
    # What would keep a shell's import from it: a folder that only a .blend file tells, too many triangles, textures beside.
    for name, value in (("DOWNLOAD_FOLDER", "//./models"), ("IMPORT_MAX_TRIANGLES", "10"), ("IMPORT_TEXTURES", "BESIDE")):
        monkeypatch.setenv(f"RODIN_{name}", value)
    started = time.perf_counter()
    assert bpy.ops.rodin.send_to_library(task_id=task_id) == {"FINISHED"}
    assert time.perf_counter() - started < 0.1
    with pytest.raises(RuntimeError, match="being written to the library already"):
        bpy.ops.rodin.send_to_library(task_id=task_id)
    rodin.until(lambda: not rodin.app.library.pending, "it is in the library", ROOM)
    assert not rodin.session.files.troubles
    first = folder / "A glazed vase, blue.blend"
    content = first.read_bytes()
    send(rodin, task_id)
    assert first.read_bytes() == content
    rodin.preferences.property_unset("import_height")
    second = folder / "A glazed vase, blue 2.blend"
    assert {path.name for path in folder.iterdir()} == {first.name, second.name, "blender_assets.cats.txt"}
    for path in (first, second):
        known = set(bpy.data.images)
        with bpy.data.libraries.load(str(path), assets_only=True) as (there, here):
            here.collections = list(there.collections)
        (collection,) = here.collections
        about = collection.asset_data
        assert about.description == "A vase, glazed in blue"
        assert [tag.name for tag in about.tags] == ["Rodin"]
        assert about.catalog_id in (folder / "blender_assets.cats.txt").read_text()
        assert tuple(collection.preview.image_size) > (0, 0)
        assert rodin.module("blender.importing").extent(collection.objects, axis=2)[1] == pytest.approx(0.5, abs=0.01)
        images = set(bpy.data.images) - known
        assert images and all(image.packed_file for image in images)
    bpy.ops.wm.read_homefile(use_empty=True)


def test_all_selected_go_one_after_the_other_and_a_waiting_one_can_be_taken_back(
    rodin: Rodin, saved: Callable[..., str], folder: Path
) -> None:
    ids = [saved(prompt=name) for name in ("A vase", "A goblet", "A bowl")]
    rodin.view.selecting = True
    bpy.ops.rodin.select_tasks(action="ALL")
    assert bpy.ops.rodin.send_selected_to_library() == {"FINISHED"}
    pending = list(rodin.app.library.pending)
    assert sorted(pending) == sorted(ids)
    assert not bpy.ops.rodin.send_selected_to_library.poll()
    bpy.ops.rodin.cancel_library(task_id=pending[2])
    rodin.until(lambda: not rodin.app.library.pending, "they are in the library", 2 * ROOM)
    names = {rodin.item(task_id).name for task_id in pending[:2]}
    assert {path.stem for path in folder.glob("*.blend")} == names
    rodin.view.selecting = False


def test_cancelled_the_other_blender_ends_and_nothing_is_left(
    rodin: Rodin, saved: Callable[..., str], folder: Path
) -> None:
    task_id = saved()
    before = children()
    bpy.ops.rodin.send_to_library(task_id=task_id)
    rodin.until(lambda: len(children()) > len(before), "the other Blender runs")
    assert bpy.ops.rodin.cancel_library(task_id=task_id) == {"FINISHED"}
    rodin.until(lambda: not rodin.app.library.pending, "it is cancelled", 5.0)
    assert children() == before and not list(folder.iterdir())
    assert not rodin.session.files.troubles
    with pytest.raises(RuntimeError, match="nothing to cancel"):
        bpy.ops.rodin.cancel_library(task_id=task_id)
    rodin.until_idle()


def test_disabled_meanwhile_the_other_blender_ends(rodin: Rodin, saved: Callable[..., str], folder: Path) -> None:
    task_id = saved()
    before = children()
    bpy.ops.rodin.send_to_library(task_id=task_id)
    rodin.until(lambda: len(children()) > len(before), "the other Blender runs")
    rodin.disable()
    wait_for_no_thread()
    assert children() == before and not list(folder.iterdir())
    rodin.enable()


def test_a_model_that_cannot_be_imported_is_told_and_leaves_nothing(
    rodin: Rodin, saved: Callable[..., str], folder: Path
) -> None:
    broken = b"glTF\x02\x00\x00\x00\x10\x00\x00\x00abcd"
    task_id = saved({"base_basic_pbr.glb": broken})
    send(rodin, task_id)
    said = rodin.module("blender.voice").say(rodin.session.files.troubles[task_id])
    assert "It was not written to the library: 'A glazed vase' was not imported: " in said
    assert not list(folder.iterdir())
    Path(rodin.item(task_id).folder, "base_basic_pbr.glb").unlink()
    send(rodin, task_id)
    assert "press Download Missing Files" in rodin.module("blender.voice").say(rodin.session.files.troubles[task_id])
    assert not list(folder.iterdir()) and not rodin_threads()[1:]


def test_a_folder_that_cannot_be_made_is_told(rodin: Rodin, saved: Callable[..., str], tmp_path: Path, folder: Path) -> None:
    (tmp_path / "file").write_text("")
    rodin.preferences.library_folder = str(tmp_path / "file" / "library")
    task_id = saved()
    send(rodin, task_id)
    assert "Set another library folder in the preferences." in rodin.module("blender.voice").say(rodin.session.files.troubles[task_id])


def test_without_a_model_it_is_told(rodin: Rodin, done: Callable[..., str], folder: Path) -> None:
    task_id = done()
    with pytest.raises(RuntimeError, match="has no model on the disk: download it first"):
        bpy.ops.rodin.send_to_library(task_id=task_id)


def test_a_press_registers_the_library_once_and_it_stays(rodin: Rodin, folder: Path) -> None:
    known = bpy.context.preferences.filepaths.asset_libraries
    before = len(known)
    assert bpy.ops.rodin.register_library() == {"FINISHED"}
    assert (known[-1].name, known[-1].path) == ("Rodin", str(folder))
    assert not bpy.ops.rodin.register_library.poll()
    rodin.until(lambda: (folder / "blender_assets.cats.txt").is_file(), "the folder is made")
    rodin.disable()
    wait_for_no_thread()
    assert len(known) == before + 1
    rodin.enable()
    assert len(known) == before + 1
