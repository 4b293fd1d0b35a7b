"""The API key: kept in a file of the user's folder, or printed by a command, and never in Blender's preferences."""

from __future__ import annotations

import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest
from conftest import API_KEY, Rodin, Service, wait_for_no_thread
from test_extension import ENABLE, command

OLD_KEY = "rk-of-old-preferences-0123456789"


@pytest.fixture
def key_file(rodin: Rodin, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the key is kept; none is to begin with, and none is in the environment."""
    monkeypatch.delenv("RODIN_API_KEY")
    path = rodin.module("blender.settings.folders").user_folder() / "api_key"
    rodin.until_idle()
    assert not path.exists()
    yield path
    rodin.disable()
    wait_for_no_thread()
    rodin.enable()
    for left in path.parent.glob("api_key*"):
        left.unlink()


def accepted(rodin: Rodin) -> str:
    """What the service says of the key."""
    bpy.ops.rodin.test_key()
    rodin.until(lambda: rodin.session.key_test.result is not None, "the key is tested")
    return str(rodin.session.key_test.result.said)


def blocker(rodin: Rodin) -> str:
    found = rodin.app.settings.for_tracker().blocker
    return str(found) if found else ""


def test_an_entered_key_is_kept_at_once_and_outlives_disabling(rodin: Rodin, key_file: Path) -> None:
    bpy.ops.rodin.enter_api_key(api_key=API_KEY)
    assert rodin.app.api_key.kept.reveal() == API_KEY, "it is in use at once"
    rodin.until(key_file.exists, "it is kept")
    assert key_file.read_text() == API_KEY + "\n"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    rodin.disable()
    rodin.enable()
    assert not rodin.app.api_key.kept
    assert "being read" in blocker(rodin), "until it is read nobody is told that there is none"
    assert "accepted" in accepted(rodin)
    assert rodin.preferences.api_key == "•" * len(API_KEY)


def test_the_preferences_field_reads_as_dots_and_writes_the_file(rodin: Rodin, key_file: Path) -> None:
    rodin.preferences.api_key = " first-key-0123456789 "
    rodin.until(key_file.exists, "it is kept")
    assert rodin.preferences.api_key == "•" * 20
    rodin.preferences.api_key = rodin.preferences.api_key
    assert rodin.app.api_key.kept.reveal() == "first-key-0123456789", "what was not edited is not changed"
    rodin.preferences.api_key = "•" * 20 + "second-key"
    rodin.until(lambda: key_file.read_text() == "second-key\n", "the new one is kept")
    rodin.preferences.api_key = "no key at all"
    assert "cannot be one" in rodin.session.news.notice and rodin.app.api_key.kept.reveal() == "second-key"
    rodin.preferences.api_key = ""
    rodin.until(lambda: not key_file.exists(), "none is kept")
    assert "API key" in blocker(rodin) and rodin.preferences.api_key == ""


def test_no_key_is_in_blenders_preferences(rodin: Rodin, key_file: Path) -> None:
    rodin.preferences.service_address = "https://a-mark-in-the-file.example/api"
    bpy.ops.rodin.enter_api_key(api_key=API_KEY)
    rodin.until(key_file.exists, "it is kept")
    bpy.ops.wm.save_userpref()
    rodin.preferences.property_unset("service_address")
    saved = Path(bpy.utils.user_resource("CONFIG"), "userpref.blend").read_bytes()
    assert b"a-mark-in-the-file" in saved and API_KEY.encode() not in saved


def stored_properties(rodin: Rodin):
    own = rodin.preferences
    return own.bl_system_properties_get(do_create=True) if hasattr(own, "bl_system_properties_get") else own


def test_a_key_of_old_preferences_is_taken_over_and_leaves_them(rodin: Rodin, key_file: Path) -> None:
    rodin.disable()
    rodin.enable()
    stored_properties(rodin)["api_key"] = OLD_KEY
    rodin.until(key_file.exists, "it is kept")
    rodin.until(lambda: "api_key" not in stored_properties(rodin), "the preferences have it no more")
    assert key_file.read_text() == OLD_KEY + "\n" and rodin.app.api_key.kept.reveal() == OLD_KEY
    assert bpy.context.preferences.is_dirty


def test_another_key_of_old_preferences_replaces_none_and_is_not_lost(rodin: Rodin, key_file: Path) -> None:
    key_file.write_text(API_KEY)
    rodin.disable()
    rodin.enable()
    stored_properties(rodin)["api_key"] = OLD_KEY
    rodin.until(lambda: "Another API key" in rodin.session.news.notice, "it is told")
    version = "{}.{}".format(*bpy.app.version)
    aside = key_file.with_name(f"api_key of Blender {version}")
    assert aside.read_text() == OLD_KEY + "\n" and stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert key_file.read_text() == API_KEY and "api_key" not in stored_properties(rodin)
    assert OLD_KEY not in rodin.session.news.notice


def test_a_crash_right_after_it_was_entered_keeps_it(key_file: Path, tmp_path: Path) -> None:
    script = tmp_path / "crash.py"
    script.write_text(
        f"{ENABLE}import os, time\nbpy.ops.rodin.enter_api_key(api_key={API_KEY!r})\n"
        f"time.sleep(1.0)\nos.kill(os.getpid(), {int(signal.SIGKILL)})\n"
    )
    bpy.ops.wm.save_userpref()
    subprocess.run(command(script), capture_output=True, timeout=60, check=False)
    assert key_file.read_text() == API_KEY + "\n"


def test_a_key_that_another_blender_keeps_is_noticed(rodin: Rodin, service: Service, key_file: Path) -> None:
    task_id = rodin.track(service.add("one-job"))
    rodin.until(lambda: "An API key" in blocker(rodin), "there is none")
    key_file.write_text(API_KEY)
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it goes on by itself", 20.0)


def test_a_folder_that_cannot_be_written_is_told_and_the_key_is_used(rodin: Rodin, key_file: Path) -> None:
    key_file.mkdir()
    (key_file / "in the way").touch()
    try:
        bpy.ops.rodin.enter_api_key(api_key=API_KEY)
        rodin.until(lambda: "could not be kept" in rodin.session.news.notice, "it is told")
        assert API_KEY not in rodin.session.news.notice
        assert not blocker(rodin)
    finally:
        (key_file / "in the way").unlink()
        key_file.rmdir()


# From a command.


def printing(tmp_path: Path, *keys: str) -> str:
    """A command that prints these one after the other, one at each call, and then the last one always."""
    calls, program = tmp_path / "calls", tmp_path / "keys.py"
    program.write_text(
        f"import pathlib\ncalls = pathlib.Path({str(calls)!r})\n"
        "with calls.open('a') as file: file.write('x')\n"
        f"keys = {keys!r}\nprint(keys[min(len(calls.read_text()), len(keys)) - 1])\n"
    )
    return shlex.join([sys.executable, str(program)])


@pytest.fixture
def asked(tmp_path: Path):
    return lambda: len((tmp_path / "calls").read_text())


def test_a_commands_first_line_is_the_key_and_nothing_keeps_it(
    rodin: Rodin, service: Service, key_file: Path, tmp_path: Path, asked
) -> None:
    rodin.preferences.api_key_command = printing(tmp_path, API_KEY)
    rodin.until(lambda: not blocker(rodin), "it has answered")
    task_id = rodin.track(service.add("one-job"))
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
    assert asked() == 1 and not key_file.exists()
    bpy.ops.rodin.enter_api_key(api_key="entered-0123456789")
    assert rodin.app.api_key.kept.reveal() == rodin.app.settings.value("api_key")


def test_it_is_asked_again_after_a_refusal(
    rodin: Rodin, service: Service, key_file: Path, tmp_path: Path, asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rodin.module("blender.settings.api_key"), "SHORTEST_RENEWAL", 0.0)
    monkeypatch.setenv("RODIN_API_KEY_COMMAND", printing(tmp_path, "out-of-date-0123", API_KEY))
    task_id = rodin.track(service.add("one-job"))
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it goes on by itself")
    assert asked() == 2
    assert str(rodin.app.api_key.source.origin) == "the environment variable RODIN_API_KEY_COMMAND"


def test_its_failure_is_told_and_check_now_asks_it_again(
    rodin: Rodin, service: Service, key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"
    program = f"if test -e {ready}; then echo {API_KEY}; else echo not-told-77; exit 1; fi"
    monkeypatch.setenv("RODIN_API_KEY_COMMAND", shlex.join(["sh", "-c", program]))
    task_id = rodin.track(service.add("one-job"))
    rodin.until(lambda: "The API key command failed (exit code 1)" in blocker(rodin), "it is told")
    assert "not-told" not in blocker(rodin)
    ready.touch()
    bpy.ops.rodin.check_now(task_id=task_id)
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")


def test_disabling_ends_a_command_that_hangs(rodin: Rodin, key_file: Path) -> None:
    rodin.preferences.api_key_command = "sleep 100"
    rodin.until(lambda: "being asked" in blocker(rodin), "it is asked")
    began = time.monotonic()
    rodin.disable()
    wait_for_no_thread()
    assert time.monotonic() - began < 5.0
    rodin.enable()


def test_a_key_that_is_tried_is_not_taken_for_the_one_in_use(rodin: Rodin, service: Service) -> None:
    session, app = rodin.session, rodin.module("blender.app").app()
    tried = rodin.module("service.keys").Secret("a-mistyped-key")
    app.tracker().test_key(app.settings.for_tracker(tried))
    rodin.until(lambda: session.key_test.result, "an answer")
    assert session.key_test.result.refused and session.key_test.result.api_key == tried
    assert session.key_test.result_for(session.settings.api_key) is None and session.blocker is None
    bpy.ops.rodin.test_key()
    rodin.until(lambda: session.key_test.result_for(session.settings.api_key), "an answer")
    assert session.key_test.result.accepted
