"""All that can be done is found by searching for Rodin, from Blender's menus, and in its Online Manual."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
from conftest import Rodin, Service


def operators() -> list[type]:
    return [cls for cls in bpy.types.Operator.__subclasses__() if cls.__name__.startswith("RODIN_OT_")]


def test_a_search_for_rodin_finds_all_operators_by_names_that_tell(rodin: Rodin) -> None:
    # Those that the search does not show come into Quick Favorites and the keymap, without a panel that tells more.
    found = [cls.bl_label for cls in operators()]
    assert len(found) > 50
    assert [label for label in found if "Rodin" not in label] == []
    assert {label for label in found if found.count(label) > 1} == set()
    hidden = {cls.bl_idname.removeprefix("rodin.") for cls in operators() if "INTERNAL" in cls.bl_options}
    assert not hidden & {"generate", "track", "paste", "hand_off", "import_model", "forget", "enter_api_key"}


def ours(menu: type) -> list[Callable[..., None]]:
    return [draw for draw in menu._dyn_ui_initialize() if "rodin" in draw.__module__]


def manuals() -> list[Callable[..., object]]:
    return [hook for hook in bpy.utils._manual_map if "rodin" in hook.__module__]


def test_menus_and_the_manual_lead_to_rodin_and_leave_no_trace(rodin: Rodin) -> None:
    menus = [bpy.types.VIEW3D_MT_add, bpy.types.TOPBAR_MT_file_import]
    assert [len(ours(menu)) for menu in menus] == [1, 1] and len(manuals()) == 1
    look_up = bpy.types.WM_OT_doc_view_manual._lookup_rna_url
    documentation = rodin.module("blender.links").SERVICE_HELP
    for rna in ("bpy.ops.rodin.generate", "bpy.types.RODIN_Form.prompt", "bpy.types.RODIN_Preferences.api_key"):
        assert look_up(rna, verbose=False) == documentation
    assert "rodin" not in (look_up("bpy.ops.mesh.primitive_cube_add", verbose=False) or "")
    rodin.disable()
    assert [len(ours(menu)) for menu in menus] == [0, 0] and manuals() == []
    rodin.enable()


@pytest.mark.parametrize("opener", ["works", "fails", "is missing"])
def test_a_folder_is_opened_or_its_path_is_copied(
    rodin: Rodin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opener: str
) -> None:
    if opener != "is missing":
        program, code = tmp_path / "xdg-open", 0 if opener == "works" else 3
        program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\nexit {code}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    bpy.context.window_manager.clipboard = "something else"
    began = time.monotonic()
    bpy.ops.rodin.open(target=str(tmp_path))
    assert time.monotonic() - began < 0.2
    rodin.until(lambda: not rodin.app.threads.busy, "it was tried")
    told = [told.text for told in rodin.session.news.entries]
    if opener == "works":
        assert (tmp_path / "opened").read_text().strip() == str(tmp_path) and told == []
    else:
        assert told == [f"The folder could not be opened, so its address is in the clipboard now: {tmp_path}"]
        # A Blender without a window may have no clipboard.
        assert bpy.context.window_manager.clipboard in (str(tmp_path), "")


def test_many_tasks_that_end_at_once_are_one_line_that_is_not_cut(rodin: Rodin, service: Service) -> None:
    for number, end in enumerate([*["Done"] * 6, "Failed"]):
        rodin.track(service.add([[[0, "Waiting"], [1.0, end]]], prompt=f"A very long name of a task {number}"))
    news = rodin.session.news
    rodin.until(lambda: len([told for told in news.entries if "done" in told.text or "failed" in told.text]) == 7, "ended")
    assert all(told.at > time.time() - 60 for told in news.entries), "each with its time"
    at_once = rodin.module("blender.state.news").News()
    for task in rodin.session.tasks.values():
        at_once.tell_ended(task)
    line = at_once.line()
    assert "6 tasks are done, ready to download" in line and "1 failed ('A very long name of" in line
    assert len(line) <= 140, "what the status bar shows whole"


def test_the_last_fifty_messages_are_kept_and_the_line_says_where_they_are(rodin: Rodin) -> None:
    news = rodin.module("blender.state.news").News()
    for number in range(60):
        news.tell(f"Something happened for the {number}th time")
    assert [told.text for told in news.entries] == [f"Something happened for the {number}th time" for number in range(10, 60)]
    assert news.line() == "Rodin: 60 messages, see Messages in the sidebar"
    news.clear_pending()
    assert not news and len(news.entries) == 50


def test_the_report_of_a_bug_has_versions_and_messages_and_no_key(rodin: Rodin, service: Service) -> None:
    answer = service.add("waiting", prompt="A glazed vase")
    rodin.track(answer)
    rodin.session.tell("Something went wrong")
    text = rodin.module("blender.report").text()
    assert f"Blender {bpy.app.version_string}" in text and "Something went wrong" in text and "Rodin for Blender 0.1" in text
    for secret in (answer["jobs"]["subscription_key"], "simulated-api-key"):
        assert secret not in text


def test_each_setting_stands_in_one_section_of_the_preferences(rodin: Rodin) -> None:
    page, fields = rodin.module("blender.properties.preferences_page"), rodin.module("configuration").FIELDS
    shown = [name for section in page.SECTIONS for name in section.fields]
    assert sorted(shown) == sorted(fields)
    assert [section.title for section in page.SECTIONS][:2] == ["Account", "Download and Import"]
    assert set(page.IMPORT_SETTINGS) <= set(page.MODELS.fields)
