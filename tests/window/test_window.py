"""The extension in a real window, used by simulated mouse and keys. See scenarios.py for what the user does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.simulator import API_KEY, Simulator


def test_tasks_are_followed_and_downloaded_without_disturbing_the_viewport(window):
    # Four of five jobs end one after the other, the last one only after there was time for a picture.
    story = [[(0, "Waiting"), (1, "Generating"), (end, "Done")] for end in (2, 8, 9, 10, 16)]
    with Simulator(begins_when_asked=True) as simulator:
        given = {"vase": simulator.add(story, prompt="A glazed vase"), "chair": simulator.add("stuck")}
        outcome = window.play("track_and_download", given, RODIN_API_URL=simulator.url, RODIN_API_KEY=API_KEY)
    facts = outcome.facts
    assert facts["viewport_draws"] == 0
    # One a second for the clock, and one for each of the few changes.
    assert 1 <= facts["sidebar_draws"] <= facts["seconds_followed"] + 8
    assert facts["offences"] == []
    assert len(list(Path(facts["folder"]).iterdir())) == 4
    assert not any(request.authorized for request in simulator.asked("files"))
    assert set(facts["field"]) == {"•"}
    assert "typed_key" in facts["info"], "Blender notes that the field was edited"
    for answer in given.values():
        assert answer["jobs"]["subscription_key"] not in outcome.output + facts["info"]
    assert API_KEY not in outcome.output + facts["info"]


def test_without_a_task_uuid_download_asks_for_it(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A glazed vase")
    outcome = window.play("ask_for_uuid", {"vase": vase}, **connected)
    assert outcome.facts["offences"] == []


@pytest.mark.parametrize("indent", [None, 2])
def test_the_field_takes_all_of_what_was_pasted_into_it(window, simulator, connected, indent):
    answers = [simulator.add("waiting", prompt=name) for name in ("A chair", "A vase")]
    text = "\n".join(json.dumps(answer, indent=indent) for answer in answers)
    outcome = window.play("paste_into_the_field", {"text": text, "names": ["A chair", "A vase"]}, **connected)
    assert outcome.facts["typed"] == text.partition("\n")[0], "Blender took the first line only"
    assert outcome.facts["offences"] == []


def test_forget_means_the_task_it_asked_about(window, simulator, connected):
    tasks = [simulator.add("waiting", prompt=name) for name in ("A chair", "A vase")]
    window.play("forget_another_in_between", {"tasks": tasks}, **connected)


def test_forget_asks_about_the_files_and_can_be_undone(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A glazed vase")
    outcome = window.play("forget_and_have_back", {"vase": vase}, **connected)
    assert outcome.facts["files"] > 0 and outcome.facts["uuid"] == vase["uuid"]
    assert outcome.facts["offences"] == []
    assert vase["jobs"]["subscription_key"] not in outcome.output


TROUBLES = {
    "partly failed": ("PARTLY_FAILED", ""),
    "failed": ("FAILED", ""),
    "unknown word": ("GENERATING", ""),
    "stuck": ("GENERATING", ""),
    "waiting": ("WAITING", ""),
    "no jobs": ("UNKNOWN", "no jobs yet"),
    "not found": ("UNKNOWN", "NO_SUCH_TASK"),
    "service trouble": ("UNKNOWN", "HTTP 502"),
    "broken off": ("UNKNOWN", "broke off"),
}


def test_each_trouble_is_told_in_plain_words(window, simulator, connected):
    instant = {"partly failed": ["Done", "Done", "Failed"], "failed": ["Failed", "Failed"]}
    faults = {"not found": "no-such-task!", "service trouble": "502-html!", "broken off": "reset!"}
    tasks = []
    for name in TROUBLES:
        story = [[[0, end]] for end in instant[name]] if name in instant else name.replace(" ", "-")
        if name in faults:
            story = "waiting"
        tasks.append(simulator.add(story, prompt=name, faults=[faults[name]] if name in faults else []))
    given = {
        "tasks": tasks,
        "throttled": simulator.add("waiting", prompt="throttled", faults=["429-seconds"]),
        "refused": simulator.add("waiting", prompt="refused", faults=["user-not-found!"]),
    }
    outcome = window.play("each_trouble", given, **connected)
    told = outcome.facts["messages"]
    for name, (status, words) in TROUBLES.items():
        assert told[name.replace(" ", "-")][0] == status, name
        assert words in told[name.replace(" ", "-")][1], name
    assert "goes on with it" in told["paused"][1]
    assert "Press Resume" in told["overdue"][1]
    assert "slow down" in told["throttled"][1]
    assert "next in" in outcome.facts["throttled_clock"], "the line of the clock tells the pause"
    assert "API key" in told["bad-api-key"][1]
    assert outcome.facts["offences"] == []


def test_a_narrow_sidebar_still_tells_all(new_window, simulator, connected):
    astrolabe = simulator.add("partly-failed", prompt="A brass astrolabe with engraved rings")
    new_window.play("narrow", {"astrolabe": astrolabe}, "--window-geometry", "0", "0", "700", "900", **connected)


def test_another_file_keeps_the_list_and_holds_no_key(window, connected, folder):
    with Simulator(speed=3, begins_when_asked=True) as simulator:
        vase = simulator.add("one-job", prompt="A glazed vase")
        blend = folder / "scene.blend"
        given = {"vase": vase, "blend": str(blend), "api_key": "preferences-api-key-0123456789"}
        outcome = window.play("another_file", given, RODIN_API_URL=simulator.url, RODIN_API_KEY=API_KEY)
    saved = blend.read_bytes()
    assert saved.startswith(b"BLENDER")
    for secret in (vase["jobs"]["subscription_key"], given["api_key"], API_KEY, "typed-and-not-tracked"):
        assert secret.encode() not in saved
        assert secret not in outcome.output
    assert outcome.facts["offences"] == []


def test_bad_clipboards_are_refused_in_plain_words(window, connected):
    outcome = window.play("bad_clipboards", {"uuid": "123e4567-e89b-12d3-a456-426614174000"}, **connected)
    said = outcome.facts["said"]
    for text, words in zip(
        said, ["no text", "no text", "10.0 MB", "not text", "no subscription key", "a part of it is missing", "swapped"], strict=True
    ):
        assert words in text
    assert outcome.facts["tasks"] == 0
    assert outcome.facts["timer"] is False


@pytest.fixture
def hung(simulator):
    simulator.fail("status", "hang!")
    return {"tasks": [simulator.add("waiting", prompt=f"Task {number}") for number in range(100)]}


def test_quitting_does_not_wait_for_a_hung_server(new_window, simulator, connected, hung):
    outcome = new_window.play("quit_while_hung", hung, **connected)
    assert len(simulator.asked("status")) == 4
    assert outcome.exit_code == 0
    assert outcome.quit_took < 4.0, "far below the ten seconds of the request's own timeout"


def test_disabling_does_not_wait_for_a_hung_server(window, simulator, connected, hung):
    outcome = window.play("disable_while_hung", hung, **connected)
    assert len(simulator.asked("status")) == 4
    assert outcome.facts["disabling_took"] < 1.0
    assert "left" not in outcome.facts


def test_download_brings_the_model_and_one_undo_takes_it_away(window, simulator, connected):
    simulator.rate = 300_000.0
    vase = simulator.add([[[0, "Done"]]], prompt="A glazed vase")
    outcome = window.play("download_and_import", {"vase": vase}, **connected)
    facts = outcome.facts
    assert facts["viewport_draws"] == 0
    assert facts["sidebar_draws"] <= 8 * facts["seconds_downloading"] + 8
    assert len(facts["imported"]) == 1
    assert facts["operator"] == "RODIN_OT_import_model", "what can be adjusted in the corner of the viewport"
    assert facts["offences"] == []


def test_a_download_is_cancelled_goes_on_waits_for_object_mode_and_is_deleted(window, simulator, connected):
    simulator.rate = 400_000.0
    vase = simulator.add([[[0, "Done"]]], prompt="A glazed vase")
    outcome = window.play("cancel_and_wait_for_object_mode", {"vase": vase}, **connected)
    facts = outcome.facts
    assert "A glazed vase" not in facts["collections_meanwhile"]
    assert facts["still_there"]
    assert facts["offences"] == []
    assert any(asked.range for asked in simulator.asked("files")), "it went on where it was"


def test_models_become_assets_with_pictures(window, simulator, connected, folder):
    tasks = [simulator.add([[[0, "Done"]]], prompt=name) for name in ("A glazed vase", "A brass goblet")]
    given = {"tasks": tasks, "blend": str(folder / "scene.blend")}
    outcome = window.play("asset_browser", given, **connected)
    assert ":Rodin:Rodin" in outcome.facts["catalog"]
    assert outcome.facts["offences"] == []


def test_an_import_waits_for_the_end_of_a_move(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A glazed vase")
    outcome = window.play("import_while_moving", {"vase": vase}, **connected)
    facts = outcome.facts
    assert facts["waits_for"] == "the operation under way has ended"
    assert facts["moved"] and facts["cube_stays"]
    assert facts["offences"] == []


def test_a_model_comes_into_the_window_where_it_was_wished_for(window, simulator, connected):
    outcome = window.play("two_windows", {"vase": simulator.add([[[0, "Done"]]], prompt="A glazed vase")}, **connected)
    assert outcome.facts["scenes"] == ["Second"]
    assert outcome.facts["offences"] == []
