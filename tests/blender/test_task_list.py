"""The panel's list: what it shows, which task is active, and what is done with several at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import bpy
import pytest
from conftest import READY, Rodin, Service

FAILED = [[[0, "Failed"]]]


def listed(rodin: Rodin) -> list[str]:
    """The names of the tasks that the list shows, in its order."""
    assert len(rodin.view.rows) == len(rodin.app.task_list.listing)
    return [rodin.session.tasks[task_id].name for task_id in rodin.app.task_list.listing]


def active(rodin: Rodin) -> str:
    name = rodin.view.tasks[rodin.view.active_index].name
    row = rodin.view.active_row
    assert row == -1 or listed(rodin)[row] == name
    return name


@pytest.fixture
def several(rodin: Rodin, service: Service) -> dict[str, str]:
    """Task ids by name: one that goes on, two that are done, one that failed; tracked in this order."""
    ids = {}
    for name, story in {"sword": "stuck", "Vase": READY, "goblet": READY, "chair": FAILED}.items():
        ids[name] = rodin.track(service.add(story, prompt=name))
        time.sleep(0.01)
    rodin.until(lambda: rodin.item(ids["goblet"]).status == "DONE", "the goblet is done")
    rodin.until(lambda: rodin.item(ids["Vase"]).status == "DONE", "the vase is done")
    rodin.until(lambda: rodin.item(ids["chair"]).status == "FAILED", "the chair has failed")
    rodin.until(lambda: rodin.item(ids["sword"]).status == "GENERATING", "the sword goes on")
    return ids


def test_it_is_sorted_and_searched_and_the_active_task_stays(rodin: Rodin, several: dict[str, str]) -> None:
    assert listed(rodin) == ["chair", "goblet", "Vase", "sword"]
    rodin.view.active_row = 1
    assert active(rodin) == "goblet"
    rodin.view.sort_by = "NAME"
    assert listed(rodin) == ["chair", "goblet", "sword", "Vase"] and active(rodin) == "goblet"
    rodin.view.sort_by = "STATE"
    assert listed(rodin) == ["goblet", "Vase", "sword", "chair"] and active(rodin) == "goblet"
    rodin.view.search = "GOB"
    assert listed(rodin) == ["goblet"] and rodin.view.active_row == 0
    rodin.view.search = ""
    rodin.view.show_groups = {"DONE"}
    assert listed(rodin) == ["goblet", "Vase"]
    assert [task.name for task in rodin.view.tasks] == ["chair", "goblet", "Vase", "sword"], "for scripts"


def test_a_task_that_changes_comes_and_goes_with_the_filter(
    rodin: Rodin, service: Service, several: dict[str, str]
) -> None:
    rodin.view.show_groups = {"DONE"}
    bpy.ops.rodin.download(task_id=several["Vase"], import_model=False)
    rodin.until(lambda: rodin.item(several["Vase"]).downloaded, "it is downloaded")
    assert listed(rodin) == ["goblet"]
    rodin.view.tasks[rodin.app.positions[several["goblet"]]].name = "Anfora"
    rodin.view.sort_by = "NAME"
    rodin.view.show_groups = {"DONE", "DOWNLOADED"}
    rodin.until(lambda: listed(rodin) == ["Anfora", "Vase"], "it has another name")


def test_a_new_task_becomes_active_and_one_that_goes_leaves_its_place_to_the_next(
    rodin: Rodin, service: Service, several: dict[str, str]
) -> None:
    rodin.view.active_row = 1
    new = rodin.track(service.add("stuck", prompt="new"))
    assert active(rodin) == "new"
    rodin.view.active_row = 2
    assert active(rodin) == "goblet"
    bpy.ops.rodin.forget(task_id=new)
    # No call of the timer comes between the choice of another one and the end of this one.
    time.sleep(0.5)
    rodin.until(lambda: "new" not in listed(rodin), "it is forgotten")
    assert active(rodin) == "goblet"
    bpy.ops.rodin.forget()
    rodin.until(lambda: "goblet" not in listed(rodin), "it is forgotten")
    assert active(rodin) == "Vase", "what stands where the goblet stood"


def test_the_active_task_stays_when_a_file_is_opened_and_after_a_restart(
    rodin: Rodin, several: dict[str, str]
) -> None:
    rodin.view.active_row = listed(rodin).index("Vase")
    rodin.view.sort_by = "NAME"
    bpy.ops.wm.read_homefile(use_empty=True)
    rodin.until(lambda: len(rodin.view.rows) == 4, "the list is there again")
    assert active(rodin) == "Vase" and listed(rodin)[0] == "chair"
    # What the preferences keep is all that a new Blender knows of it.
    module = rodin.module("blender.task_list")
    restarted = module.TaskList(rodin.session, rodin.app.settings)
    restarted.remember()
    for task_id in several.values():
        restarted.update(task_id)
    assert restarted.active == several["Vase"]
    assert restarted.listing.arrangement.sort == "NAME"


def test_a_task_that_is_still_to_come_is_awaited(rodin: Rodin, several: dict[str, str]) -> None:
    task_list = rodin.app.task_list
    task_list.activate("still to come")
    assert active(rodin) == "chair"
    task_list.settle()
    rodin.view.sort_by = "NAME"
    rodin.view.sort_by = "NEWEST"
    assert active(rodin) == "chair"
    rodin.view.search = "vase"
    assert task_list.active == several["chair"], "a filter chooses no other task"


def test_what_the_filter_hides_no_operator_acts_on(rodin: Rodin, service: Service, several: dict[str, str]) -> None:
    rodin.view.active_row = listed(rodin).index("sword")
    rodin.view.search = "vase"
    assert rodin.view.active_row == -1
    for operator in ("forget", "pause", "check_now", "hand_off", "copy_key", "download", "import_model"):
        with pytest.raises(RuntimeError, match="'sword' is chosen, but the list's filter hides it"):
            getattr(bpy.ops.rodin, operator)()
    bpy.ops.rodin.pause(task_id=several["sword"])
    rodin.until(lambda: "Paused" in rodin.item(several["sword"]).message, "scripts name the task")
    bpy.ops.rodin.show_all_tasks()
    assert len(listed(rodin)) == 4 and active(rodin) == "sword"


def test_several_are_downloaded_imported_paused_and_forgotten_but_none_that_is_hidden(
    rodin: Rodin, several: dict[str, str]
) -> None:
    bpy.ops.rodin.select_tasks(action="ALL")
    assert rodin.view.selecting and all(task.selected for task in rodin.view.tasks)
    rodin.view.show_groups = {"DONE"}
    bpy.ops.rodin.download_selected()
    rodin.until(lambda: not listed(rodin), "both are downloaded")
    assert not bpy.ops.rodin.forget_selected.poll(), "what is selected is not shown"
    with pytest.raises(RuntimeError, match="No selected task"):
        bpy.ops.rodin.pause_selected()
    bpy.ops.rodin.show_all_tasks()
    rodin.until(lambda: not rodin.session.imports, "the download has imported them")
    bpy.ops.rodin.pause_selected()
    rodin.until(lambda: "Paused" in rodin.item(several["sword"]).message, "it is paused")
    bpy.ops.rodin.resume_selected()
    rodin.until(lambda: not rodin.item(several["sword"]).message, "it goes on")
    rodin.view.search = "goblet"
    bpy.ops.rodin.forget_selected()
    rodin.until(lambda: not listed(rodin), "it is forgotten")
    rodin.view.search = ""
    assert listed(rodin) == ["chair", "Vase", "sword"]
    rodin.view.selecting = False
    assert not any(task.selected for task in rodin.view.tasks)


def test_several_models_come_side_by_side(rodin: Rodin, saved: Callable[..., str]) -> None:
    for name in ("Amphora", "Ewer"):
        saved(prompt=name)
    bpy.context.scene.cursor.location = (1.0, 2.0, 3.0)
    bpy.ops.rodin.select_tasks(action="ALL")
    bpy.ops.rodin.import_selected()
    rodin.until(lambda: not rodin.session.imports, "both are imported")
    stand = [bpy.data.collections[name].objects[0].location for name in ("Ewer", "Amphora")]
    assert stand[0][:] == (1.0, 2.0, 3.0)
    assert stand[1].x > 2.9 and stand[1][1:] == (2.0, 3.0)


def test_clearing_is_one_step_that_can_be_taken_back(rodin: Rodin, several: dict[str, str]) -> None:
    assert not bpy.ops.rodin.clear_finished.poll()
    rodin.preferences.import_after_download = False
    bpy.ops.rodin.download_all()
    rodin.until(lambda: all(rodin.item(several[name]).downloaded for name in ("Vase", "goblet")), "both are downloaded")
    # An item tells what is known; its row, and with it the group, follows within the budget of a call of the timer.
    rodin.until(lambda: not rodin.session.dirty_tasks, "the rows tell it, too")
    assert not bpy.ops.rodin.download_all.poll()
    bpy.ops.rodin.clear_finished()
    bpy.ops.rodin.clear_failed()
    rodin.until(lambda: listed(rodin) == ["sword"], "what has ended is cleared")
    rodin.until(lambda: len(rodin.session.forgotten.groups) == 2, "it can be had back")
    bpy.ops.rodin.undo_forget()
    rodin.until(lambda: listed(rodin) == ["chair", "sword"], "the failed one is back")
    bpy.ops.rodin.undo_forget()
    rodin.until(lambda: len(listed(rodin)) == 4, "both are back")
    assert rodin.item(several["Vase"]).downloaded
    assert not bpy.ops.rodin.undo_forget.poll()


def test_done_downloaded_and_in_the_scene_are_told_apart(rodin: Rodin, done: Callable[..., str]) -> None:
    task_states = rodin.module("blender.task_states")
    task_id = done()

    def word() -> Any:
        return str(task_states.state(rodin.session.tasks[task_id])[1])

    assert word() == "Done"
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    assert word() == "Downloading"
    rodin.until(lambda: rodin.item(task_id).downloaded and not rodin.session.files.downloads, "its files are saved")
    assert word() == "Downloaded"
    bpy.ops.rodin.import_model(task_id=task_id)
    assert word() == "In scene"
    for item in list(bpy.data.objects):
        if item.get("rodin_task_uuid"):
            bpy.data.objects.remove(item)
    bpy.context.view_layer.update()
    rodin.module("blender.scene.in_scene").scan()
    assert word() == "Downloaded"


def test_of_a_task_that_is_gone_the_list_hears_a_moment_later(rodin: Rodin, several: dict[str, str]) -> None:
    bpy.ops.rodin.select_tasks(action="ALL")
    del rodin.session.tasks[several["chair"]]
    assert len(rodin.app.task_list.selection()) == 3
    assert not bpy.ops.rodin.clear_failed.poll()


def test_old_news_goes_by_itself(rodin: Rodin, monkeypatch: pytest.MonkeyPatch) -> None:
    rodin.session.tell("Something happened.")
    assert rodin.session.news.notice == "Something happened."
    news = rodin.session.news
    news._notice = news._notice._replace(at=time.time() - rodin.module("blender.state.news").NOTICE_LASTS)
    assert rodin.session.news.notice == ""
    rodin.session.tell("Something else.")
    bpy.ops.rodin.dismiss()
    assert rodin.session.news.notice == ""


def test_how_long_the_service_keeps_files_is_told_in_whole_days(rodin: Rodin, done: Callable[..., str]) -> None:
    task = rodin.session.tasks[done()]
    kept = rodin.module("blender.panels.details")._expiry_text
    assert str(kept(task, task.finished_at + 60.0)) == "Kept by the service for 6 more days"
    assert str(kept(task, task.finished_at + 5.9 * 86400)) == "Kept by the service for a day or less"
    assert str(kept(task, task.finished_at + 7.1 * 86400)) == "No longer kept by the service"


def test_jobs_are_counted_in_words(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add([[[0, "Done"]], [[0, "Waiting"], [600, "Done"]]], prompt="A chair"))
    rodin.until(lambda: rodin.item(task_id).jobs_done == 1, "one job is done")
    said = rodin.module("blender.task_states").sentence(rodin.session.tasks[task_id])
    assert str(said) == "Generating, 1 of 2 jobs done"


def test_the_line_of_a_press_comes_before_what_it_could_not_follow(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add("stuck", prompt="A chair"))
    session, messages = rodin.session, rodin.module("tracking.messages")
    session.follow_requests.pending.append(rodin.module("blender.state.follow_requests").FollowRequest(2))
    session.handle(messages.Followed(session.tasks[task_id], was_known=True))
    session.handle(messages.NotFollowed(rodin.module("texts.text").Text("The disk is full.")))
    told = [entry.text for entry in session.news.entries][-2:]
    assert told == ["already in the list: 'A chair'", "The disk is full."]
    assert session.news.notice == "The disk is full."
