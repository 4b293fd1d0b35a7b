"""What operators, timer and properties do, in every Blender, on a real service."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import bpy
import pytest
from conftest import API_KEY, PACKAGE, READY, Rodin, Service, rodin_threads, wait_for_no_thread

UUID = "123e4567-e89b-12d3-a456-426614174000"


def test_a_task_is_followed_to_done_and_its_files_saved(rodin: Rodin, service: Service) -> None:
    answer = service.add("one-job", prompt="A glazed vase")
    task_id = rodin.track(answer)
    item = rodin.item(task_id)
    assert (item.name, item.task_uuid) == ("A glazed vase", answer["uuid"])
    assert rodin.view.active_index == 0
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
    item = rodin.item(task_id)
    assert (item.message, item.jobs_done, item.jobs_total) == ("", 1, 1)
    assert [(job.uuid, job.status) for job in item.jobs] == [(answer["jobs"]["uuids"][0], "Done")]
    assert bpy.ops.rodin.hand_off(task_id=task_id) == {"FINISHED"}
    rodin.until(lambda: rodin.item(task_id).downloaded, "its files are saved")
    names = sorted(path.name for path in Path(rodin.item(task_id).folder).iterdir())
    assert names == ["base_basic_pbr.glb", "base_basic_shaded.glb", "preview.webp", "texture_diffuse.png"]
    assert not any(request["authorized"] for request in service.asked("files"))


def test_nothing_runs_when_all_is_final_and_no_final_task_is_asked_again(rodin: Rodin, service: Service) -> None:
    answer = service.add(READY)
    rodin.track(answer)
    rodin.until_idle()
    wait_for_no_thread()
    assert service.asked_for(answer) == 1
    with pytest.raises(RuntimeError, match="finished"):
        bpy.ops.rodin.check_now()


def test_all_jobs_count_and_words_pass_through(rodin: Rodin, service: Service) -> None:
    stories = {
        "PARTLY_FAILED": [[[0, "Done"]], [[0, "Failed"]]],
        "FAILED": [[[0, "Failed"]], [[0, "Canceled"]]],
        "DONE": READY,
        "WAITING": [[[0, "Waiting"]], [[0, "Waiting"]]],
        "GENERATING": [[[0, "Done"]], [[0, "Polishing"]]],
    }
    ids = {status: rodin.track(service.add(story)) for status, story in stories.items()}
    for status, task_id in ids.items():
        rodin.until(lambda status=status, task_id=task_id: rodin.item(task_id).status == status, status)
    assert rodin.item(ids["GENERATING"]).jobs[1].status == "Polishing"
    assert [item.task_id for item in rodin.view.tasks] == list(reversed(ids.values())), "newest first"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("502-html!", "HTTP 502"),
        ("empty!", "answer is empty"),
        ("list!", "not a JSON object"),
        ("huge-chunked!", "more than 8 MB"),
        ("reset!", "broke off"),
        ("429-seconds", "slow down"),
        ("no-jobs!", "no jobs yet"),
        ("no-such-task!", "NO_SUCH_TASK"),
        ("api-error!", "INVALID_REQUEST"),
    ],
)
def test_trouble_in_asking_stands_in_the_message_and_the_status_stays(
    rodin: Rodin, service: Service, fault: str, words: str
) -> None:
    task_id = rodin.track(service.add("waiting", faults=(fault,)))
    rodin.until(lambda: words in rodin.item(task_id).message, words)
    assert rodin.item(task_id).status == "UNKNOWN"


def test_connections_that_are_closed_do_not_end_blender(
    rodin: Rodin, closing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RODIN_API_URL", closing)
    # As Blender 4.3 has it by itself: only our own care keeps a broken pipe from ending it.
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        task_id = rodin.track({"jobs": {"subscription_key": "closed-at-once"}, "uuid": UUID, "prompt": "A chair"})
        rodin.until(lambda: rodin.session.tasks[task_id].failures >= 2, "it was asked about twice")
        assert "broke off" in rodin.item(task_id).message
    finally:
        signal.signal(signal.SIGPIPE, before)


def test_a_refused_api_key_stops_all_asking_until_it_changes(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RODIN_API_KEY", "another-key")
    tasks = [service.add(READY) for _ in range(3)]
    ids = [rodin.track(answer) for answer in tasks]
    rodin.until(lambda: all("API key" in rodin.item(i).message for i in ids), "all wait")
    before = sum(service.asked_for(answer) for answer in tasks)
    end = time.monotonic() + 2.5
    rodin.until(lambda: time.monotonic() > end, "some time passes")
    assert sum(service.asked_for(answer) for answer in tasks) == before
    monkeypatch.setenv("RODIN_API_KEY", API_KEY)
    rodin.until(lambda: all(rodin.item(i).status == "DONE" for i in ids), "all are done")


def test_offline_pauses_and_resumes_by_itself(rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy.context.preferences.system.use_online_access = False
    monkeypatch.setenv("RODIN_API_URL", "https://rodin.invalid/api/v2")
    task_id = rodin.track(service.add(READY))
    rodin.until(lambda: "not allowed to go online" in rodin.item(task_id).message, "it waits")
    assert rodin.item(task_id).status == "UNKNOWN"
    monkeypatch.setenv("RODIN_API_URL", service.url)
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "loopback needs no permission")


def test_pause_resume_rename_and_forget(rodin: Rodin, service: Service) -> None:
    answer = service.add("waiting", prompt="A chair")
    task_id = rodin.track(answer)
    rodin.until(lambda: rodin.item(task_id).status == "WAITING", "it is asked about")
    bpy.ops.rodin.pause(task_id=task_id)
    rodin.until(lambda: "Paused" in rodin.item(task_id).message, "it is paused")
    rodin.until_idle()
    asked = service.asked_for(answer)
    rodin.item(task_id).name = "A stool"
    rodin.until(lambda: rodin.item(task_id).name == "A stool", "it is renamed")
    assert service.asked_for(answer) == asked
    bpy.ops.rodin.resume(task_id=task_id)
    rodin.until(lambda: service.asked_for(answer) > asked, "it is asked about again")
    bpy.ops.rodin.forget(task_id=task_id)
    rodin.until(lambda: not rodin.view.tasks, "the list is empty")


def test_the_list_is_there_after_a_restart_and_after_loading_a_file(rodin: Rodin, service: Service) -> None:
    ids = [rodin.track(service.add("waiting", prompt=f"Task {number}")) for number in range(3)]
    bpy.ops.wm.read_homefile(use_empty=True)
    assert len(rodin.view.tasks) == 0
    rodin.until(lambda: [item.task_id for item in rodin.view.tasks] == ids[::-1], "the list is back")
    rodin.disable()
    wait_for_no_thread()
    rodin.enable()
    rodin.until(lambda: [item.task_id for item in rodin.view.tasks] == ids[::-1], "the list is back")


def test_what_another_blender_did_meanwhile_is_seen(rodin: Rodin, service: Service) -> None:
    answers = [service.add(READY, prompt=name) for name in ("A chair", "A vase")]
    chair, vase = (rodin.track(answer) for answer in answers)
    rodin.until_idle()
    wait_for_no_thread()

    def another() -> None:
        store = rodin.module("storage.store").Store(rodin.store)
        store.forget(chair)
        store.close()

    # Off the main thread, where no file may be opened.
    elsewhere = threading.Thread(target=another)
    elsewhere.start()
    elsewhere.join()
    rodin.app.tracker().refresh()
    rodin.until_idle()
    assert [item.task_id for item in rodin.view.tasks] == [vase]


@pytest.mark.parametrize(
    ("key", "uuid", "words"),
    [
        ("", "", "field is empty"),
        (" \n", "", "field is empty|Nothing was given"),
        (UUID, "", "swapped"),
        ("two words", "", "no spaces"),
        ("k" * 9000, "", "too long"),
        ("a-good-key", "aaaa.bbbb.cccc", "swapped"),
        ("a-good-key", "1234", "not a task uuid"),
        (API_KEY, "", "This is your API key"),
        ("https://hyper3d.ai/rodin/vase", "", "link to the website of Hyper3D"),
        ('{"generation_id": "g", "status": "queued", "display_url": "https://x"}', "", "another Hyper3D tool"),
        ('[{"subscription_key": "one-good-key"}, {"subscription_key": "another-good-key"}]', UUID, "there are several"),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(rodin: Rodin, key: str, uuid: str, words: str) -> None:
    rodin.until_idle()
    with pytest.raises(RuntimeError, match=words):
        bpy.ops.rodin.track(subscription_key=key, task_uuid=uuid)
    assert rodin.session.tracker is None
    assert len(rodin.view.tasks) == 0


def test_all_answers_of_a_text_are_followed_and_told_in_one_line(rodin: Rodin, service: Service) -> None:
    known = rodin.track(service.add("waiting", prompt="A chair"))
    answers = [service.add("waiting", prompt=f"Model {number}") for number in range(7)]
    refused = {"error": "API_INSUFFICIENT_FUND", "message": "The fund in your wallet is insufficient."}
    again = {"subscription_key": rodin.session.tasks[known].subscription_key.reveal()}
    text = "\n".join(map(json.dumps, [*answers[:3], refused, again])) + f"\n12:00 [INFO] {answers[3:]!r} ready"
    bpy.ops.rodin.track(subscription_key=text)
    rodin.until(lambda: len(rodin.view.tasks) == 8, "all are in the list")
    assert sorted(item.name for item in rodin.view.tasks) == ["A chair", *(f"Model {number}" for number in range(7))]
    assert [told.text for told in rodin.session.news.entries if "followed now" in told.text] == [
        "7 tasks are followed now; already in the list: 'A chair'"
    ]
    assert "Number 4: This is an error answer (API_INSUFFICIENT_FUND: The fund" in rodin.session.news.notice
    assert rodin.view.tasks[rodin.view.active_index].name == "Model 6"


def test_the_field_takes_a_whole_answer_and_is_cleared_once_it_is_stored(rodin: Rodin, service: Service) -> None:
    rodin.view.typed_key = json.dumps(service.add("waiting", prompt="A chair"))
    bpy.ops.rodin.track()
    assert rodin.view.typed_key, "not yet stored"
    rodin.until(lambda: [item.name for item in rodin.view.tasks] == ["A chair"], "it is in the list")
    assert rodin.view.typed_key == "" and not rodin.session.follow_requests.typed_key
    rodin.view.typed_key = "https://hyper3d.ai/rodin/vase"
    with pytest.raises(RuntimeError, match="link to the website"):
        bpy.ops.rodin.track()
    assert rodin.session.follow_requests.typed_key.reveal() == "https://hyper3d.ai/rodin/vase", "what was refused can be mended"


def test_what_was_forgotten_can_be_undone_until_blender_quits(rodin: Rodin, service: Service) -> None:
    with pytest.raises(RuntimeError, match="No task was forgotten"):
        bpy.ops.rodin.undo_forget()
    chair = rodin.track(service.add("waiting", prompt="A chair"))
    vase = rodin.track(service.add(READY, prompt="A vase"))
    rodin.until(lambda: rodin.item(vase).status == "DONE", "one is done")
    before = rodin.session.tasks[vase]
    for task_id in (chair, vase):
        bpy.ops.rodin.forget(task_id=task_id)
    rodin.until(lambda: not rodin.view.tasks and len(rodin.session.forgotten.groups) == 2, "the list is empty")
    rodin.until_idle()
    rodin.app.tracker().refresh()
    rodin.until_idle()
    assert len(rodin.view.tasks) == 0, "nothing comes back by itself"
    bpy.ops.rodin.undo_forget()
    rodin.until(lambda: rodin.item(vase), "the last one is back")
    assert rodin.session.tasks[vase] == before
    bpy.ops.rodin.undo_forget()
    rodin.until(lambda: rodin.item(chair) and rodin.item(chair).status == "WAITING", "the other, too, and is asked about")
    assert [item.task_id for item in rodin.view.tasks] == [vase, chair]
    assert not bpy.ops.rodin.undo_forget.poll()
    rodin.disable()
    rodin.enable()
    assert not rodin.session.forgotten


def test_forget_takes_the_files_along_where_that_is_chosen(rodin: Rodin, service: Service) -> None:
    ids = [rodin.track(service.add(READY, prompt=name)) for name in ("A chair", "A vase")]
    folders = []
    for task_id in ids:
        rodin.until(lambda task_id=task_id: rodin.item(task_id).status == "DONE", "it is done")
        bpy.ops.rodin.download(task_id=task_id, import_model=False)
        rodin.until(lambda task_id=task_id: rodin.item(task_id).downloaded, "its files are saved")
        folders.append(Path(rodin.item(task_id).folder))
    bpy.ops.rodin.forget(task_id=ids[0])
    bpy.ops.rodin.forget(task_id=ids[1], delete_files=True)
    rodin.until(lambda: not rodin.view.tasks, "both are forgotten")
    assert list(folders[0].iterdir()) and not folders[1].exists()
    for _ in ids:
        bpy.ops.rodin.undo_forget()
    rodin.until(lambda: len(rodin.view.tasks) == 2, "both are back")
    assert [(rodin.item(i).downloaded, rodin.item(i).folder) for i in ids] == [(True, str(folders[0])), (False, "")]


def test_a_known_key_selects_its_task_and_brings_the_uuid(rodin: Rodin, service: Service) -> None:
    answer = service.add("waiting")
    first = rodin.track(answer, task_uuid="", name="")
    rodin.track(service.add("waiting"))
    assert rodin.view.active_index == 0
    bpy.ops.rodin.track(subscription_key=answer["jobs"]["subscription_key"], task_uuid=answer["uuid"])
    rodin.until(lambda: rodin.view.active_index == 1, "the known one is selected")
    assert len(rodin.view.tasks) == 2
    assert rodin.item(first).task_uuid == answer["uuid"]


def test_the_hand_off_calls_the_studios_operator(rodin: Rodin, service: Service) -> None:
    called = []

    class STUDIO_OT_fetch(bpy.types.Operator):
        bl_idname = "studio.fetch"
        bl_label = "Fetch"
        task_id: bpy.props.StringProperty()

        def execute(self, context):
            called.append((self.task_id, rodin.item(self.task_id).task_uuid))
            return {"FINISHED"}

    bpy.utils.register_class(STUDIO_OT_fetch)
    try:
        answer = service.add(READY)
        task_id = rodin.track(answer, task_uuid="")
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
        rodin.preferences.hand_off_operator = "studio.fetch"
        with pytest.raises(RuntimeError, match="needs its task uuid"):
            bpy.ops.rodin.hand_off(task_id=task_id)
        bpy.ops.rodin.hand_off(task_id=task_id, task_uuid=answer["uuid"])
        rodin.until(lambda: called, "the studio's operator is called")
        assert called == [(task_id, answer["uuid"])]
        for wrong in ("studio.nothing", "nonsense", "wm.save_mainfile"):
            rodin.preferences.hand_off_operator = wrong
            with pytest.raises(RuntimeError, match=wrong):
                bpy.ops.rodin.hand_off(task_id=task_id)
    finally:
        bpy.utils.unregister_class(STUDIO_OT_fetch)


def test_test_key_tells_the_balance_or_the_reason(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    bpy.ops.rodin.test_key()
    rodin.until(lambda: rodin.session.key_test.result, "an answer")
    assert rodin.session.key_test.result.accepted and "12.5" in str(rodin.session.key_test.result.said)
    monkeypatch.setenv("RODIN_API_KEY", "wrong")
    bpy.ops.rodin.test_key()
    rodin.until(lambda: rodin.session.key_test.result, "an answer")
    assert not rodin.session.key_test.result.accepted and "HTTP 401" in str(rodin.session.key_test.result.said)
    monkeypatch.delenv("RODIN_API_KEY")
    bpy.ops.rodin.test_key()
    rodin.until(lambda: rodin.session.key_test.result, "an answer")
    assert "API key" in str(rodin.session.key_test.result.said)


def test_what_was_missing_is_not_told_once_it_is_there(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RODIN_API_KEY")
    task_id = rodin.track(service.add(READY))
    rodin.until(lambda: rodin.session.blocker, "the API key is missing")
    bpy.ops.rodin.forget(task_id=task_id)
    rodin.until_idle()
    assert rodin.session.blocker is None, "the panel looks itself while nobody tells"


def test_a_script_may_enable_it_without_an_entry_in_the_preferences(rodin: Rodin, service: Service) -> None:
    import addon_utils

    rodin.disable()
    wait_for_no_thread()
    try:
        assert addon_utils.enable(PACKAGE, default_set=False)
        assert PACKAGE not in bpy.context.preferences.addons
        task_id = rodin.track(service.add(READY))
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
    finally:
        addon_utils.disable(PACKAGE)
        wait_for_no_thread()
        rodin.enable()


def test_a_second_repository_does_not_harm_the_first(rodin: Rodin, service: Service) -> None:
    with pytest.raises(RuntimeError, match="another repository"):
        rodin.module("blender").register()
    task_id = rodin.track(service.add(READY))
    rodin.until(lambda: rodin.item(task_id).status == "DONE", "it goes on")


def test_no_exception_ends_the_timer(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add("waiting"))
    rodin.session.tracker.messages.put("no message at all")
    rodin.session.dirty_tasks[("no", "task")] = None
    for _ in range(5):
        assert rodin.module("blender.timer").run() is not None
    rodin.until(lambda: rodin.item(task_id).status == "WAITING", "it goes on")


def test_the_properties_are_a_view_and_hold_no_second_copy(rodin: Rodin, service: Service) -> None:
    task_id = rodin.track(service.add([[[0, "Generating"]], [[0, "Waiting"]]], prompt="A glazed vase"))
    rodin.until(lambda: len(rodin.item(task_id).jobs) == 2, "its jobs are known")
    item = rodin.item(task_id)
    stored = item.bl_system_properties_get() if hasattr(item, "bl_system_properties_get") else item
    assert set(stored.keys()) == {"task_id", "jobs"}
    changed = replace(rodin.session.tasks[task_id], prompt="It is all different now.", task_uuid="another")
    rodin.session.tasks[task_id] = changed
    assert (item.prompt, item.task_uuid, item.status) == (changed.prompt, "another", "GENERATING")
    assert [(job.uuid, job.status) for job in item.jobs] == [(job.uuid, job.status) for job in changed.jobs]


def test_the_timer_keeps_to_its_budget_of_work(rodin: Rodin, service: Service) -> None:
    rodin.until_idle()
    for number in range(300):
        bpy.ops.rodin.track(subscription_key=f"key-{number}")
    calls = []
    run = rodin.module("blender.timer").run
    while len(rodin.view.tasks) < 300:
        before = len(rodin.view.tasks)
        assert run() is not None
        calls.append(len(rodin.view.tasks) - before)
        assert len(calls) < 5000
        time.sleep(0.005)
    assert max(calls) < 300, "one call shows what fits into its budget, and the next goes on"


def test_the_timer_looks_for_changed_settings_once_a_second_and_an_operator_at_once(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    rodin.track(service.add("waiting"))
    settings, timer = rodin.app.settings, rodin.module("blender.timer")
    looks: list[float] = []
    ticks: list[float] = []
    for_tracker, active_task = settings.for_tracker, rodin.module("blender.properties.task_properties").active_task
    monkeypatch.setattr(settings, "for_tracker", lambda: (looks.append(time.monotonic()), for_tracker())[1])
    monkeypatch.setattr(timer.task_properties, "active_task", lambda: (ticks.append(time.monotonic()), active_task())[1])
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        timer.run()
        time.sleep(0.01)
    assert 2 <= len(looks) <= 3
    assert 2 <= len(ticks) <= 4, "the clock's task is of interest as it ticks"
    rodin.preferences.deadline = 7.0
    bpy.ops.rodin.check_now()
    assert rodin.session.settings.pace.deadline == 7.0 * 60


def test_without_requests_the_user_is_told_what_to_install(
    rodin: Rodin, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n == "requests" or n.startswith((f"{PACKAGE}.service.client", "requests."))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules[f"{PACKAGE}.service"], "client", raising=False)
    monkeypatch.setitem(sys.modules, "requests", None)
    task_id = rodin.track(service.add("waiting"))
    rodin.until(lambda: "python3-requests" in rodin.item(task_id).message, "it says what to install")
    assert rodin.item(task_id).status == "UNKNOWN"


# Leaving no trace.


def _trace() -> dict[str, object]:
    return {
        "classes": sorted(
            cls.__name__
            for base in (
                bpy.types.Operator,
                bpy.types.Panel,
                bpy.types.UIList,
                bpy.types.PropertyGroup,
                bpy.types.AddonPreferences,
            )
            for cls in base.__subclasses__()
            if cls.__name__.startswith("RODIN") and cls.is_registered
        ),
        "property": hasattr(bpy.types.WindowManager, "rodin"),
        "handlers": {
            name: len(getattr(bpy.app.handlers, name))
            for name in dir(bpy.app.handlers)
            if isinstance(getattr(bpy.app.handlers, name), list)
        },
        "operators": list(dir(bpy.ops.rodin)),
        "threads": rodin_threads(),
        "languages": _has_languages(),
    }


def _has_languages() -> bool:
    try:
        bpy.app.translations.register(PACKAGE, {})
    except ValueError:
        return True
    bpy.app.translations.unregister(PACKAGE)
    return False


def test_enabling_and_disabling_fifty_times_leaves_no_trace(rodin: Rodin, service: Service) -> None:
    rodin.disable()
    wait_for_no_thread()
    before = _trace()
    assert before["classes"] == [] and before["property"] is False and before["operators"] == []
    assert not before["languages"]
    timers = []
    for round_number in range(50):
        rodin.enable()
        run = rodin.module("blender.timer").run
        if round_number % 2:
            run()  # with its threads at work
        timers.append(run)
        rodin.disable()
    wait_for_no_thread()
    assert _trace() == before
    assert not any(bpy.app.timers.is_registered(run) for run in timers)
    rodin.enable()


def test_enabling_imports_no_requests_opens_no_file_and_starts_no_thread(tmp_path: Path) -> None:
    script = tmp_path / "enable.py"
    script.write_text(
        ENABLE + "import sys, threading\n"
        f"sys.path.insert(0, {str(Path(__file__).parent.parent)!r})\n"
        "import main_thread\n"
        f"bpy.ops.preferences.addon_disable(module={PACKAGE!r})\n"
        f"for name in [n for n in sys.modules if n.startswith({PACKAGE!r})]: del sys.modules[name]\n"
        "modules, threads = set(sys.modules), threading.active_count()\n"
        f"main_thread.watch({PACKAGE!r})\n"
        f"bpy.ops.preferences.addon_enable(module={PACKAGE!r})\n"
        f"assert {PACKAGE + '.blender.timer'!r} in sys.modules\n"
        "new = {n.partition('.')[0] for n in set(sys.modules) - modules}\n"
        "assert not new & {'requests', 'urllib3', 'certifi'}, new\n"
        "assert main_thread.offences == [], main_thread.offences\n"
        "assert threading.active_count() == threads\n"
        "print('ENABLED QUIETLY')\n"
    )
    assert "ENABLED QUIETLY" in blender(script).stdout


def test_enabling_does_without_numpy(rodin: Rodin, tmp_path: Path) -> None:
    rodin.disable()
    script = tmp_path / "enable.py"
    script.write_text(
        "import sys\nsys.modules['numpy'] = None  # to import it raises\n" + ENABLE + "\n"
        "assert hasattr(bpy.types.WindowManager, 'rodin')\n"
        "print('ENABLED WITHOUT IT')\n"
    )
    assert "ENABLED WITHOUT IT" in blender(script).stdout


@pytest.mark.parametrize("unregister", [True, False])
def test_exit_does_not_wait_for_a_hung_server(rodin: Rodin, service: Service, tmp_path: Path, unregister: bool) -> None:
    keys = [service.add("waiting", faults=("hang!",))["jobs"]["subscription_key"] for _ in range(10)]
    rodin.disable()
    wait_for_no_thread()
    script = tmp_path / "exit.py"
    script.write_text(
        ENABLE + "import time, importlib\n"
        f"run = importlib.import_module({PACKAGE + '.blender.timer'!r}).run\n"
        f"for key in {keys!r}: bpy.ops.rodin.track(subscription_key=key)\n"
        "end = time.monotonic() + 3\n"
        "while time.monotonic() < end: run(); time.sleep(0.05)\n"
        "assert len(bpy.context.window_manager.rodin.tasks) >= 10\n"
        + (f"bpy.ops.preferences.addon_disable(module={PACKAGE!r})\n" if unregister else "")
        + "print('LEAVING', time.time(), flush=True)\n"
    )
    done = blender(script)
    assert done.returncode == 0 and "LEAVING" in done.stdout, done.stdout[-2000:]
    left = float(next(line for line in done.stdout.splitlines() if "LEAVING" in line).split()[-1])
    assert done.ended - left < 5.0, "far below the ten seconds of the request's own timeout"


@pytest.mark.parametrize("delay", [0.3, 0.9, 1.5])
def test_what_the_list_showed_survives_a_kill(rodin: Rodin, service: Service, tmp_path: Path, delay: float) -> None:
    rodin.disable()
    wait_for_no_thread()
    script = tmp_path / "killed.py"
    script.write_text(
        ENABLE + "import time, importlib\n"
        f"run = importlib.import_module({PACKAGE + '.blender.timer'!r}).run\n"
        "shown = set()\n"
        "print('STARTED', flush=True)\n"
        "for number in range(10000):\n"
        f"    bpy.ops.rodin.track(subscription_key=f'killed-{delay}-{{number}}')\n"
        "    run()\n"
        "    for item in bpy.context.window_manager.rodin.tasks:\n"
        "        if item.task_id not in shown:\n"
        "            shown.add(item.task_id); print('SHOWN', item.task_id, flush=True)\n"
        "    time.sleep(0.01)\n"
    )
    process = subprocess.Popen(command(script), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "STARTED" in line:
            break
    time.sleep(delay)
    process.kill()
    lines += process.communicate(timeout=30)[0].splitlines(keepends=True)
    # The kill may have cut the last line.
    shown = {line.split()[1] for line in lines if line.startswith("SHOWN") and line.endswith("\n")}
    rodin.enable()
    rodin.until(lambda: shown <= {item.task_id for item in rodin.view.tasks}, "all that was shown is there")
    assert shown or delay < 0.5


@pytest.mark.skipif(not bpy.app.binary_path, reason="the bpy wheel has no repositories of extensions")
def test_a_studio_has_it_for_everybody_by_two_variables(rodin: Rodin, tmp_path: Path) -> None:
    """As docs/pipeline.md has it, in a profile that knows nothing of it."""
    startup = tmp_path / "scripts" / "startup"
    startup.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[2] / "docs/examples/enable_rodin.py", startup)
    with zipfile.ZipFile(os.environ["RODIN_ZIP"]) as packed:
        packed.extractall(tmp_path / "extensions" / "system" / "rodin_blender")
    # Blender takes a folder that is not there for none, and would read its user's own preferences.
    (tmp_path / "profile").mkdir()
    environment = {
        **os.environ,
        "BLENDER_SYSTEM_EXTENSIONS": str(tmp_path / "extensions"),
        "BLENDER_SYSTEM_SCRIPTS": str(tmp_path / "scripts"),
        "BLENDER_USER_RESOURCES": str(tmp_path / "profile"),
    }
    ran = subprocess.run(
        [*PROGRAM, "--background", "--command", "rodin", "--version"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0 and "Rodin " in ran.stdout, ran.stdout + ran.stderr


IS_MODULE = not bpy.app.binary_path
"""Whether this is the `bpy` wheel, which is no program. (A test names one to it, which cannot be taken back.)"""
PROGRAM = (
    [bpy.app.binary_path]
    if not IS_MODULE
    else [sys.executable, str(Path(__file__).parent.parent.parent / "tools" / "bpy_as_blender.py")]
)
"""Another Blender of the same kind."""
ENABLE = f"import bpy\nbpy.ops.preferences.addon_enable(module={PACKAGE!r})\n"
"""What the other Blender's script begins with: as a module, Blender starts without the user's preferences."""


def command(script: Path) -> list[str]:
    strict = [] if IS_MODULE else ["--python-exit-code", "1"]
    return [*PROGRAM, "-b", *strict, "--python", str(script)]


class _Done:
    def __init__(self, returncode: int, stdout: str) -> None:
        self.returncode, self.stdout, self.ended = returncode, stdout, time.time()


def blender(script: Path) -> _Done:
    """Another Blender with the same profile."""
    bpy.ops.wm.save_userpref()
    done = subprocess.run(
        command(script), capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ)
    )
    return _Done(done.returncode, done.stdout + done.stderr)
