"""A studio's own functions: called for what happens, and harmless when they fail."""

from __future__ import annotations

import os
import runpy
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest
from conftest import PACKAGE, READY, Rodin, Service, wait_for_no_thread
from test_extension import ENABLE, blender


@pytest.fixture
def handlers(rodin: Rodin) -> Iterator[ModuleType]:
    bpy.ops.wm.read_homefile(use_empty=True)
    module = rodin.module("handlers")
    yield module
    for functions in (
        module.task_updated,
        module.task_done,
        module.task_failed,
        module.download_done,
        module.import_done,
    ):
        functions.clear()


def test_each_is_called_with_the_task_as_the_list_shows_it(rodin: Rodin, service: Service, handlers: ModuleType) -> None:
    called: list[tuple[str, str, str]] = []

    def note(kind):
        return lambda task, *more: called.append((kind, task.name, rodin.item(task.task_id).status))

    handlers.task_updated.append(note("updated"))
    handlers.task_done.append(note("done"))
    handlers.task_failed.append(note("failed"))
    handlers.download_done.append(lambda task: called.append(("downloaded", task.folder, str(len(task.files)))))
    handlers.import_done.append(lambda task, collection: called.append(("imported", task.name, collection.name)))
    vase = rodin.track(service.add("one-job", prompt="A glazed vase"))
    pot = rodin.track(service.add([[[0, "Failed"]]], prompt="A pot"))
    rodin.until(lambda: rodin.item(vase).status == "DONE" and rodin.item(pot).status == "FAILED", "both are final")
    bpy.ops.rodin.hand_off(task_id=vase)
    rodin.until_idle()
    assert ("updated", "A glazed vase", "WAITING") in called
    assert [entry for entry in called if entry[0] in ("done", "failed")] == [
        ("failed", "A pot", "FAILED"),
        ("done", "A glazed vase", "DONE"),
    ]
    folder = rodin.item(vase).folder
    assert ("downloaded", folder, "4") in called and ("imported", "A glazed vase", "A glazed vase") in called


def test_the_task_is_read_only_and_shows_no_key(rodin: Rodin, service: Service, handlers: ModuleType) -> None:
    seen = []
    handlers.task_done.append(seen.append)
    answer = service.add(READY)
    rodin.track(answer)
    rodin.until(lambda: seen, "it is called")
    with pytest.raises(AttributeError):
        seen[0].name = "another"
    assert answer["jobs"]["subscription_key"] not in repr(seen[0])


def test_a_trouble_has_a_code_in_functions_and_in_the_list(
    rodin: Rodin, service: Service, handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[str] = []
    handlers.task_updated.append(lambda task: codes.append(task.code))
    task_id = rodin.track(service.add("waiting", faults=("no-such-task!",)))
    rodin.until(lambda: rodin.item(task_id).code == "no_such_task", "the list has it")
    rodin.until(lambda: "no_such_task" in codes, "and a function")
    other = rodin.track(service.add("waiting"))
    rodin.until(lambda: rodin.item(other).status == "WAITING", "all is well with it")
    assert rodin.item(other).code == rodin.session.tasks[other].code == ""
    service.fail("check_balance", "user-not-found!")
    service.fail("status", "user-not-found!")
    rodin.until(lambda: rodin.item(other).code == "bad_key", "what keeps all tasks from being asked goes before")


def test_they_are_called_within_the_budget_of_the_timer(rodin: Rodin, service: Service, handlers: ModuleType) -> None:
    task = rodin.session.tasks[rodin.track(service.add("waiting"))]
    rodin.until(lambda: not rodin.session.pending_calls, "all that happened is told")
    called: list[object] = []
    handlers.task_updated.append(called.append)
    handlers.task_updated.append(lambda _task: time.sleep(0.001))
    rodin.session.pending_calls.extend([(handlers.task_updated, task)] * 100)
    while len(called) < 100:
        before = len(called)
        assert rodin.module("blender.timer").run() is not None
        assert len(called) - before < 10, "one call does what fits into its budget, and the next goes on"


def test_one_that_raises_is_told_by_name_and_stays(
    rodin: Rodin, service: Service, handlers: ModuleType, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    called = []

    def publish(task):
        raise KeyError("show")

    handlers.task_done.extend([publish, called.append])
    for _ in range(2):
        rodin.track(service.add(READY))
        before = len(called)
        rodin.until(lambda before=before: len(called) > before, "the next one is called all the same")
    assert "test_handlers.test_one_that_raises_is_told_by_name_and_stays.<locals>.publish failed (KeyError)" in (
        rodin.session.news.notice
    )
    assert "raised KeyError" in caplog.text and "test_handlers.py:" in caplog.text and "'show'" not in caplog.text
    assert "KeyError: 'show'" in capsys.readouterr().err
    assert handlers.task_done[0] is publish


def test_they_stay_when_the_extension_is_disabled_and_enabled(
    rodin: Rodin, service: Service, handlers: ModuleType
) -> None:
    called = []
    handlers.task_done.append(called.append)
    rodin.disable()
    rodin.enable()
    rodin.track(service.add(READY))
    rodin.until(lambda: called, "it is called")


def test_the_functions_of_a_file_are_called_in_the_window_too(
    rodin: Rodin, service: Service, handlers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, called = tmp_path / "studio.py", tmp_path / "called"
    file.write_text(f"def task_done(task): open({str(called)!r}, 'a').write(task.name)\n")
    monkeypatch.setenv("RODIN_HOOKS", str(file))
    for _ in range(2):
        rodin.disable()
        rodin.enable()
    rodin.track(service.add(READY, prompt="A vase"))
    rodin.until(called.exists, "it is called")
    rodin.until_idle()
    assert called.read_text() == "A vase", "once, however often the extension is enabled"
    monkeypatch.setenv("RODIN_HOOKS", str(tmp_path / "gone.py"))
    rodin.disable()
    rodin.enable()
    rodin.until(lambda: "gone.py" in rodin.session.news.notice, "it is told")
    assert "FileNotFoundError" in rodin.session.news.notice
    (tmp_path / "raising.py").write_text("1 / 0\n")
    monkeypatch.setenv("RODIN_HOOKS", str(tmp_path / "raising.py"))
    rodin.disable()
    rodin.enable()
    rodin.until(lambda: "raising.py" in rodin.session.news.notice, "it is told")
    assert "ZeroDivisionError" in rodin.session.news.notice


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
def test_a_file_on_a_disk_that_does_not_answer_holds_up_nothing_but_its_functions(
    rodin: Rodin, service: Service, handlers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "studio.py"
    os.mkfifo(file)  # To read it waits until something is written.
    monkeypatch.setenv("RODIN_HOOKS", str(file))
    rodin.disable()
    rodin.enable()
    called: list[str] = []
    handlers.task_done.append(lambda task: called.append(task.name))
    try:
        task_id = rodin.track(service.add(READY, prompt="A vase"))
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "the list goes on")
        bpy.ops.rodin.download(task_id=task_id, import_model=True)
        rodin.until(lambda: rodin.app.task_list.is_in_scene(rodin.session.tasks[task_id]), "and so do imports")
        for _ in range(10):
            assert rodin.module("blender.timer").run() == 0.2, "nor does the timer hurry for what it cannot do yet"
        assert called == []
    finally:
        file.write_text(
            "import bpy, threading\n"
            "on_main_thread = threading.current_thread() is threading.main_thread()\n"
            "def task_done(task): bpy.context.scene['studio'] = task.name\n"
            "def import_done(task, collection): collection['published'] = on_main_thread\n"
        )
    rodin.until(lambda: called, "it is called")
    rodin.until(lambda: bpy.data.collections["A vase"].get("published"), "the file's functions, too, in their order")
    assert bpy.context.scene["studio"] == "A vase"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("meanwhile", ["nothing", "other step undone", "undone", "removed", "another file"])
def test_an_import_that_is_gone_when_the_file_has_been_read_is_not_told(
    rodin: Rodin,
    saved: Callable[..., str],
    handlers: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: str,
    own: bool,
) -> None:
    task_id = saved()
    file = tmp_path / "studio.py"
    os.mkfifo(file)
    monkeypatch.setenv("RODIN_HOOKS", str(file))
    rodin.disable()
    rodin.enable()
    rodin.until(lambda: rodin.item(task_id), "the list is read")
    called: list[tuple[str, str]] = []
    handlers.import_done.append(lambda task, collection: called.append((task.name, collection.name)))
    try:
        bpy.ops.ed.undo_push(message="Before")
        bpy.ops.rodin.import_model(task_id=task_id, collection="OWN" if own else "ACTIVE")
        bpy.ops.ed.undo_push(message="Import")
        collection = "A glazed vase" if own else bpy.context.scene.collection.name
        match meanwhile:
            case "other step undone":
                bpy.data.objects.new("Other", None)
                bpy.ops.ed.undo_push(message="Other")
                bpy.ops.ed.undo()
            case "undone":
                bpy.ops.ed.undo()
            case "removed" if own:
                bpy.data.collections.remove(bpy.data.collections[collection])
            case "removed":
                old = bpy.context.scene
                bpy.context.window.scene = bpy.data.scenes.new("New")
                bpy.data.scenes.remove(old)
            case "another file":
                bpy.ops.wm.read_homefile(use_empty=True)
        assert called == []
    finally:
        file.write_text("def import_done(task, collection): collection['published'] = True\n")
    rodin.until(lambda: not rodin.app.hooks.pending and not rodin.session.pending_calls, "what has waited is told")
    stays = meanwhile in ("nothing", "other step undone") or (meanwhile == "undone" and not own)
    assert called == ([("A glazed vase", collection)] if stays else [])
    assert "failed" not in rodin.session.news.notice


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes among its files")
@pytest.mark.skipif(not bpy.app.binary_path, reason="the wheel cannot end while a daemon thread is alive")
@pytest.mark.parametrize("what", ["RODIN_HOOKS", "RODIN_CONFIG", "picture"])
def test_exit_does_not_wait_for_a_disk_that_does_not_answer(rodin: Rodin, tmp_path: Path, what: str) -> None:
    rodin.disable()
    wait_for_no_thread()
    file = tmp_path / "never.py"
    os.mkfifo(file)
    script = tmp_path / "exit.py"
    script.write_text(
        "import importlib, os, threading, time\n"
        + (f"os.environ[{what!r}] = {str(file)!r}\n" if what != "picture" else "")
        + ENABLE
        + f"run = importlib.import_module({PACKAGE + '.blender.timer'!r}).run\n"
        + f"app = importlib.import_module({PACKAGE + '.blender.app'!r}).app\n"
        + (f"bpy.context.window_manager.rodin.form.images.add().path = {str(file)!r}\n" if what == "picture" else "")
        + "end = time.monotonic() + 2\n"
        "while time.monotonic() < end: run(); time.sleep(0.05)\n"
        "assert app().threads.busy\n"
        "print('LEAVING', time.time(), flush=True)\n"
    )
    done = blender(script)
    assert done.returncode == 0 and "LEAVING" in done.stdout, done.stdout[-2000:]
    left = float(next(line for line in done.stdout.splitlines() if "LEAVING" in line).split()[-1])
    assert done.ended - left < 10.0


@pytest.mark.skipif(not bpy.app.binary_path, reason="the wheel is no program that takes --command")
def test_the_example_publishes_a_model_into_the_shows_library(
    rodin: Rodin, service: Service, handlers: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = runpy.run_path(str(Path(__file__).parents[2] / "docs/examples/rodin_publish.py"))
    monkeypatch.setenv("SHOW_LIBRARY", str(tmp_path))
    bpy.ops.wm.save_userpref()
    assert example["connect"]() is None, "it finds the extension, whatever its repository is called"
    assert len(handlers.download_done) == 1
    task_id = rodin.track(service.add(READY, prompt="A glazed vase"))
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    name = f"A glazed vase {task_id}"
    rodin.until(lambda: (tmp_path / f"{name}.png").exists(), "it is published", patience=60.0)
    with bpy.data.libraries.load(str(tmp_path / f"{name}.blend"), assets_only=True) as (there, _):
        assert there.collections == ["A glazed vase"]
