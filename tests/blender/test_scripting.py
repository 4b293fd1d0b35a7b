"""What `scripting` promises to other people's scripts, in every Blender."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from conftest import API_KEY, Rodin, Service, wait_for_no_thread
from test_generate import DONE, png


@pytest.fixture(autouse=True)
def account(service: Service) -> None:
    service.account(story=DONE)


def test_generate_returns_the_id_at_once_and_the_model_is_wanted_where_the_cursor_was(
    rodin: Rodin, service: Service, tmp_path: Path
) -> None:
    scripting = rodin.module("scripting")
    bpy.context.scene.cursor.location = (1.0, 2.0, 3.0)
    picture = png(tmp_path / "front.png")
    task_id = scripting.generate("A brass goblet", [picture], tier="Gen-2", seed=7)
    bpy.context.scene.cursor.location = (0.0, 0.0, 0.0)
    rodin.until(lambda: rodin.item(task_id) is not None and rodin.item(task_id).status == "DONE", "done")
    (sent,) = service.submissions()
    assert sent["prompt"] == "A brass goblet" and ["tier", "Gen-2"] in sent["fields"] and ["seed", "7"] in sent["fields"]
    assert [found["size"] for found in sent["pictures"]] == [picture.stat().st_size]
    assert rodin.session.tasks[task_id].placement.location == (1.0, 2.0, 3.0)
    # The form is the user's.
    assert rodin.view.form.prompt == "" and not rodin.view.form.images


def test_what_cannot_be_generated_raises_with_what_to_change(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripting = rodin.module("scripting")
    for given, options, words in (
        (("",), {}, "Say what you want to make"),
        (("a",), {"seed": 70_000}, "Seed must lie between"),
        (("a",), {"tier": "Sketch", "file_format": "usdz"}, "usdz"),
        (("a",), {"polish": True}, "no option 'polish'"),
        (("a", ["relative.png"]), {}, "no whole path"),
    ):
        with pytest.raises(scripting.BadInput, match=words):
            scripting.generate(*given, **options)
    monkeypatch.setenv("RODIN_ALLOW_GENERATION", "false")
    with pytest.raises(scripting.BadInput, match="switched off"):
        scripting.generate("a")
    assert not rodin.view.tasks and service.submissions() == []


def test_generate_just_after_enabling_waits_for_what_is_still_looked_up(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RODIN_API_KEY")
    bpy.ops.rodin.enter_api_key(api_key=API_KEY)
    rodin.until_idle()
    rodin.disable()
    wait_for_no_thread()
    rodin.enable()
    try:
        task_id = rodin.module("scripting").generate("A brass goblet")
        assert rodin.app.studio_files.pending
        rodin.until(lambda: not rodin.app.studio_files.pending, "the studio's settings are read")
        bpy.ops.rodin.generate(prompt="A chair")
        rodin.until(lambda: len(service.submissions()) == 2, "both are sent")
        rodin.until(lambda: rodin.item(task_id) is not None, "the first is shown")
        assert rodin.item(task_id).prompt == "A brass goblet"
    finally:
        rodin.preferences.api_key = ""
        kept = rodin.module("blender.settings.folders").user_folder() / "api_key"
        rodin.until(lambda: not kept.exists(), "the key is kept no longer")


def test_what_waited_and_cannot_be_then_is_told(
    rodin: Rodin, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = tmp_path / "rodin.toml"
    studio.write_text("max_credits_per_task = 0.1\n")
    monkeypatch.setenv("RODIN_CONFIG", str(studio))
    rodin.disable()
    wait_for_no_thread()
    rodin.enable()
    rodin.module("scripting").generate("A brass goblet")
    bpy.ops.rodin.generate(prompt="A chair")
    rodin.until(lambda: rodin.session.news.notice, "it is told")
    rodin.until_idle()
    assert str(studio) in rodin.session.news.notice and "at most 0.1 are allowed" in rodin.session.news.notice
    assert service.submissions() == [] and not rodin.view.tasks


def test_track_returns_the_id_also_of_a_known_key(rodin: Rodin, service: Service) -> None:
    scripting, answer = rodin.module("scripting"), service.add(DONE, "A vase")
    key = answer["jobs"]["subscription_key"]
    task_id = scripting.track(key, name="Mine")
    rodin.until(lambda: rodin.find(key) is not None, "in the list")
    assert rodin.find(key).task_id == task_id
    assert scripting.track(key, task_uuid=answer["uuid"]) == task_id
    rodin.until(lambda: rodin.item(task_id).task_uuid == answer["uuid"], "the uuid is there")
    with pytest.raises(scripting.BadInput):
        scripting.track("")


def test_an_answer_to_a_script_is_not_taken_for_that_to_a_press(rodin: Rodin, service: Service) -> None:
    first, second = (service.add(DONE, name)["jobs"]["subscription_key"] for name in ("A vase", "A chair"))
    rodin.module("scripting").track(first)
    rodin.view.typed_key = second
    bpy.ops.rodin.track()
    assert len(rodin.session.follow_requests.pending) == 2
    followed = rodin.module("tracking.messages").Followed
    for kept in (second, ""):
        message = None
        while not isinstance(message, followed):
            message = rodin.session.tracker.messages.get(timeout=30)
            rodin.session.handle(message)
        assert rodin.session.follow_requests.typed_key.reveal() == kept, "what is typed stays until it is stored"


def test_import_model_returns_the_collection(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add(DONE, "A vase"))
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "done")
    bpy.ops.rodin.download(task_id=task_id, import_model=False)
    rodin.until(lambda: rodin.item(task_id).downloaded, "downloaded")
    path = Path(rodin.item(task_id).folder) / "base_basic_pbr.glb"
    collection = rodin.module("scripting").import_model(path, at=(1.0, 0.0, 0.0), height=0.5)
    assert collection.name == "base_basic_pbr" and any(item.type == "MESH" for item in collection.objects)
