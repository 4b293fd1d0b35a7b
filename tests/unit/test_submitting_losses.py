"""Submissions of a real tracker while files are lost, damaged or copied, keys are mixed up, and presses come twice."""

from __future__ import annotations

import errno
import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.service.answers import RawAnswer
from rodin_blender.service.client import Client
from rodin_blender.service.keys import Secret
from rodin_blender.service.paste_parser import generation_answer
from rodin_blender.storage import locks
from rodin_blender.storage import outbox as outbox_module
from rodin_blender.storage.database import StoreError
from rodin_blender.storage.outbox import Outbox, State
from rodin_blender.storage.store import KeyTaken, Store
from rodin_blender.storage.stored_request import StoredRequest
from rodin_blender.tasks import options, transitions
from rodin_blender.tasks.generation_request import GenerationRequest
from rodin_blender.tasks.task import Status, Task, new_task_id
from rodin_blender.tracking import outbox_sync, send_limits, tracker
from rodin_blender.tracking.messages import (
    BlockerChanged,
    Forgotten,
    Notice,
    NotSubmitted,
    SubmissionProgress,
    TaskChanged,
)
from rodin_blender.tracking.outbox_sync import OutboxSync
from rodin_blender.tracking.sending import read
from tests.unit import test_submitting
from tests.unit.disks import fail_once, fill, small_disk  # noqa: F401
from tests.unit.pictures import large_file
from tests.unit.test_submitting import Generating, stored
from tests.unit.watching import wait_until
from tools.simulator import API_KEY, Simulator

simulator, folder, begin = test_submitting.simulator, test_submitting.folder, test_submitting.begin

Begin = Callable[..., Generating]
CHAIR = GenerationRequest("0a1b2c3d", "A chair", (), options.defaults())


def ended(watched: Generating) -> None:
    watched.tracker.stop()
    assert watched.tracker.join(15.0)


def uncertain(watched: Generating, simulator: Simulator) -> str:
    """The id of a task whose answer was lost."""
    simulator.fail("rodin", "taken-and-closed")
    task_id = watched.generate()
    watched.until(task_id, Status.UNCERTAIN)
    return task_id


def leave_list(watched: Generating, task_id: str, *, again: bool) -> set[str]:
    """Have an uncertain task be sent again or forgotten, until it is. Returns the ids that are in the list then."""
    if again:
        new = new_task_id()
        watched.tracker.send_again(task_id, new)
        watched.until(new, Status.DONE)
        return {new}
    watched.tracker.forget(task_id)
    watched.next(Forgotten)
    return set()


def answered(folder: Path, answer: dict[str, object], request: GenerationRequest = CHAIR) -> Path:
    """The folder of a submission whose answer nobody has made sense of yet."""
    outbox = Outbox(folder / "outbox")
    outbox.add(request)
    with outbox.claim(request.task_id) as claim, claim.sending(lambda: 12.5) as sending:
        sending.answered(RawAnswer(201, None, json.dumps(answer).encode()))
    return outbox.folder / request.task_id


# Folders of the outbox that are not as they were left.


def test_damaged_folders_stop_nothing_and_each_can_be_discarded(begin: Begin, simulator: Simulator, folder: Path) -> None:
    outbox = Outbox(folder / "outbox")
    for task_id in ("request", "marker", "number"):
        outbox.add(replace(CHAIR, task_id=task_id))
    (outbox.folder / "request" / "request.json").write_bytes(b"{")
    (outbox.folder / "marker" / "1.sent").touch()
    (outbox.folder / "marker" / ".lock").mkdir()
    (outbox.folder / "number" / "1.answer").write_text('{"http_status": 201, "retry_after": {}, "size": 0}\n')
    (outbox.folder / "Thumbs.db").touch()
    (outbox.folder / "empty").mkdir()
    watched = begin()
    watched.tracker.follow(generation_answer(simulator.add("done", files={})))
    watched.next(TaskChanged, lambda told: told.task.status is Status.DONE)
    assert not watched.of(BlockerChanged)
    assert len(watched.of(Notice)) == 1 and "marker" in str(watched.of(Notice)[0].said)
    wait_until(lambda: {"request", "number"} <= stored(folder).keys())
    assert "is damaged" in stored(folder)["number"].message and stored(folder)["number"].status is Status.UNCERTAIN
    for task_id in ("request", "number"):
        watched.tracker.forget(task_id)
    wait_until(lambda: not {"request", "number"} & stored(folder).keys())
    assert simulator.asked("rodin") == []


@pytest.mark.parametrize("lost", ["request.json", "1.sent"])
def test_a_paid_model_is_followed_though_its_request_is_lost(
    begin: Begin, simulator: Simulator, folder: Path, lost: str
) -> None:
    place = answered(folder, simulator.add("done", files={}))
    (place / lost).unlink()
    begin().until("0a1b2c3d", Status.DONE)


def test_a_copy_of_a_folder_is_no_second_submission(begin: Begin, simulator: Simulator, folder: Path) -> None:
    place = answered(folder, simulator.add("done", files={}))
    shutil.copytree(place, place.with_name("0a1b2c3d copy"))
    watched = begin()
    watched.until("0a1b2c3d", Status.DONE)
    assert stored(folder).keys() == {"0a1b2c3d"} and not watched.of(Notice) and simulator.asked("rodin") == []


def test_a_folder_that_is_gone_while_it_is_sent_leaves_it_uncertain(begin: Begin, folder: Path) -> None:
    with closing(Store(folder / "tasks.sqlite")) as store:
        store.add(Task("0a1b2c3d", "Chair", Secret(""), status=Status.SENDING, kind="generate", tracked_at=1.0))
    watched = begin()
    assert "may have been charged" in watched.until("0a1b2c3d", Status.UNCERTAIN).message
    watched.tracker.forget("0a1b2c3d")
    wait_until(lambda: stored(folder) == {})


def test_an_older_copy_of_a_folder_does_not_turn_an_uncertain_task_into_an_unsent_one(
    begin: Begin, simulator: Simulator, folder: Path
) -> None:
    first = begin()
    task_id = uncertain(first, simulator)
    ended(first)
    for path in (folder / "outbox" / task_id).glob("1.*"):
        path.unlink()
    again = begin()
    time.sleep(0.8)
    assert stored(folder)[task_id].status is Status.UNCERTAIN and not again.of(Notice)
    again.tracker.send_now(task_id)
    assert "was sent already" in str(again.next(Notice).said)


def test_an_older_copy_of_the_list_in_the_place_of_the_open_one_is_put_right(
    begin: Begin, simulator: Simulator, folder: Path
) -> None:
    watched = begin()
    task_id = uncertain(watched, simulator)
    older = folder / "older.sqlite"
    with closing(Store(older)) as store:
        store.add(replace(stored(folder)[task_id], status=Status.UNSENT, trouble=None))
        answered(folder, simulator.add("done", files={}))  # Of a Blender that was killed since.
    older.replace(folder / "tasks.sqlite")
    wait_until(lambda: stored(folder)[task_id].status is Status.UNCERTAIN)
    assert "went down" in stored(folder)[task_id].message
    watched.until("0a1b2c3d", Status.DONE)


def test_a_task_that_left_the_list_while_it_was_sent_comes_back_with_its_key(
    begin: Begin, simulator: Simulator, folder: Path, tmp_path: Path
) -> None:
    simulator.upload_rate = 2_000_000.0
    watched = begin()
    task_id = watched.generate(pictures=(large_file(tmp_path / "a.png", 4_000_000),))
    watched.next(SubmissionProgress, lambda told: told.sent > 0)
    with closing(Store(folder / "tasks.sqlite")) as store:
        store.forget(task_id)
    watched.until(task_id, Status.DONE)
    assert len(simulator.submissions) == 1 and stored(folder)[task_id].subscription_key


# A disk that is in the way in the middle.


@pytest.mark.parametrize("quits", [False, True])
def test_a_disk_that_is_full_when_the_answer_comes_loses_nothing(
    simulator: Simulator, small_disk: Path, *, quits: bool  # noqa: F811
) -> None:
    simulator.upload_rate = 100_000.0
    folder = small_disk / "user"
    watched = Generating(folder, simulator)
    try:
        task_id = watched.generate(pictures=(large_file(small_disk / "a.png", 100_000),))
        watched.next(SubmissionProgress, lambda told: told.sent > 0)
        filler = fill(small_disk)
        watched.next(BlockerChanged, lambda told: told.blocker is not None and told.blocker.code == "store")
        if quits:
            ended(watched)
        filler.unlink()
        if quits:
            watched = Generating(folder, simulator)
        watched.until(task_id, Status.DONE)
        assert len(simulator.submissions) == 1
        wait_until(lambda: watched.outbox.state(task_id) is State.ANSWERED)
    finally:
        ended(watched)


# A key that is another task's.


def test_the_answer_to_another_task_settles_nothing(begin: Begin, simulator: Simulator, folder: Path) -> None:
    watched = begin()
    answer = simulator.add("done", files={})
    watched.tracker.follow(generation_answer({**answer, "prompt": "Another"}))
    task_id = uncertain(watched, simulator)
    watched.tracker.settle(task_id, json.dumps(answer).encode())
    assert "answer to 'Another'" in str(watched.next(Notice).said)
    assert stored(folder)[task_id].status is Status.UNCERTAIN
    wait_until(lambda: watched.outbox.state(task_id) is State.UNCERTAIN)


def test_an_answer_with_the_key_of_a_followed_task_holds_up_nothing(
    begin: Begin, simulator: Simulator, folder: Path
) -> None:
    answer = simulator.add("done", files={})
    first = begin()
    first.tracker.follow(generation_answer({**answer, "prompt": "Pasted"}))
    first.next(TaskChanged, lambda told: told.task.status is Status.DONE)
    ended(first)
    answered(folder, answer)
    for _ in range(2):
        watched = begin()
        wait_until(lambda: stored(folder).get("0a1b2c3d", Task("", "", Secret(""))).status is Status.UNCERTAIN)
        assert "that of 'Pasted'" in stored(folder)["0a1b2c3d"].message
        watched.until(watched.generate(), Status.DONE)
        assert not watched.of(BlockerChanged)
        ended(watched)


def test_no_two_tasks_get_one_key(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "tasks.sqlite")) as store:
        store.add(Task("one", "One", Secret("key")))
        store.add(Task("two", "Two", Secret("")))
        with pytest.raises(KeyTaken, match="that of 'One'"):
            store.change("two", lambda task: replace(task, subscription_key=Secret("key")))
        assert store.change("two", lambda task: task) == Task("two", "Two", Secret(""))


# Presses at the wrong moment.


def test_two_presses_of_send_again_pay_once(begin: Begin, simulator: Simulator, folder: Path) -> None:
    watched = begin()
    task_id = uncertain(watched, simulator)
    for _ in range(2):
        watched.tracker.send_again(task_id, new_task_id())
    assert "sent again already" in str(watched.next(NotSubmitted).said)
    wait_until(lambda: len(simulator.submissions) == 2)
    time.sleep(0.6)
    assert len(simulator.submissions) == 2 and len(stored(folder)) == 1


def test_two_blenders_send_an_uncertain_one_again_once(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = begin(), begin()
    task_id = uncertain(both[0], simulator)
    both[1].until(task_id, Status.UNCERTAIN)
    add, together = Outbox.add, threading.Barrier(2)

    def add_together(self: Outbox, request: GenerationRequest) -> StoredRequest:
        together.wait(20.0)  # One that begins only when the other has taken its place already is refused at once.
        return add(self, request)

    monkeypatch.setattr(Outbox, "add", add_together)
    for watched in both:
        watched.tracker.send_again(task_id, new_task_id())
    wait_until(lambda: len(stored(folder)) == 2 and len(simulator.submissions) == 2)
    time.sleep(0.6)
    assert len(simulator.submissions) == 2
    assert sorted(task.status.submitted for task in stored(folder).values()) == [False, True]


@pytest.mark.parametrize("again", [True, False], ids=["sent again", "forgotten"])
def test_what_leaves_the_list_is_not_brought_back_by_another_blender_that_looks_meanwhile(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    monkeypatch.setattr(tracker, "LONGEST_WAIT", 0.1)
    monkeypatch.setattr(outbox_sync, "SYNC_INTERVAL", 0.0)
    first, second = begin(), begin()
    task_id = uncertain(first, simulator)
    second.until(task_id, Status.UNCERTAIN)
    remove, looks, look = Store.forget, dict[OutboxSync, int](), OutboxSync.run

    def look_and_count(self: OutboxSync, *given: Any) -> None:
        self.look_at_all()
        look(self, *given)
        looks[self] = looks.get(self, 0) + 1

    def wait_for_looks(programs: int) -> None:
        looks.clear()
        wait_until(lambda: len(looks) == programs and min(looks.values()) > 2)

    def remove_slowly(self: Store, task_id: str, status: Status | None = None) -> bool:
        removed = remove(self, task_id, status)
        monkeypatch.setattr(OutboxSync, "run", look_and_count)
        wait_for_looks(1)
        return removed

    monkeypatch.setattr(Store, "forget", remove_slowly)
    left = leave_list(first, task_id, again=again)
    wait_for_looks(2)
    assert stored(folder).keys() == left and len(simulator.submissions) == 1 + again
    assert not second.of(Notice)


@pytest.mark.parametrize("again", [True, False], ids=["sent again", "forgotten"])
def test_where_the_list_cannot_be_written_it_stays_and_can_leave_it_later(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    watched = begin()
    task_id = uncertain(watched, simulator)
    fail_once(monkeypatch, Store, "forget", StoreError("The disk is full."))
    if not again:
        watched.tracker.forget(task_id)
        watched.next(Notice, lambda told: "The disk is full" in str(told.said))
        assert Outbox(folder / "outbox").state(task_id) is State.UNCERTAIN
    left = leave_list(watched, task_id, again=again)
    assert stored(folder).keys() == left and len(simulator.submissions) == 1 + again


def test_where_what_it_replaces_cannot_be_removed_it_waits_and_says_why(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "LOCK_TIMEOUT", 0.1)
    watched = begin()
    task_id, new = uncertain(watched, simulator), new_task_id()
    with locks.acquire(folder / "outbox" / task_id / ".lock", 20.0):
        watched.tracker.send_again(task_id, new)
        wait_until(lambda: new in stored(folder) and "could not be removed" in stored(folder)[new].message)
    assert {task.status for task in stored(folder).values()} == {Status.UNCERTAIN, Status.UNSENT}
    watched.tracker.send_now(new)
    watched.until(new, Status.DONE)


def test_where_its_request_cannot_be_put_away_it_stays_as_it_is(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = begin()
    done = watched.until(watched.generate(), Status.DONE)
    replace_file = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == outbox_module.FORGOTTEN:
            raise PermissionError(errno.EACCES, "A virus scanner reads it", str(self))
        return replace_file(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    watched.tracker.forget(done.task_id)
    assert "This was not done" in str(watched.next(Notice).said) and not watched.of(Forgotten)
    assert stored(folder)[done.task_id].subscription_key == done.subscription_key
    monkeypatch.setattr(Path, "replace", replace_file)
    watched.tracker.forget(done.task_id)
    watched.next(Forgotten)
    assert stored(folder) == {} and Outbox(folder / "outbox").ids() == []


def test_what_was_accepted_since_one_has_looked_is_not_discarded(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = begin()
    task_id, remove = uncertain(watched, simulator), Store.forget
    answer = json.dumps(simulator.add("done", files={})).encode()

    def remove_after_another(self: Store, task_id: str, status: Status | None = None) -> bool:
        with closing(Store(folder / "tasks.sqlite")) as other:
            other.change(task_id, transitions.accepted(read(RawAnswer(201, None, answer), Secret("")).accepted, time.time()))
        return remove(self, task_id, status)

    monkeypatch.setattr(Store, "forget", remove_after_another)
    watched.tracker.forget(task_id)
    assert "was not removed: another program" in str(watched.next(Notice).said) and not watched.of(Forgotten)
    watched.until(task_id, Status.DONE)
    assert Outbox(folder / "outbox").state(task_id) is not State.GONE


def test_what_is_settled_while_it_is_sent_again_is_kept_and_nothing_more_is_sent(
    begin: Begin, simulator: Simulator, folder: Path
) -> None:
    watched = begin()
    task_id = uncertain(watched, simulator)
    new = new_task_id()
    watched.tracker.send_again(task_id, new)
    watched.tracker.settle(task_id, json.dumps(simulator.add("done", files={})).encode())
    watched.until(task_id, Status.DONE)
    wait_until(lambda: new in stored(folder) and "Meanwhile" in stored(folder)[new].message)
    assert stored(folder)[new].status is Status.UNSENT and len(simulator.submissions) == 1
    assert Outbox(folder / "outbox").state(task_id) is State.ANSWERED


def test_cancelling_what_is_uncertain_does_not_call_it_unsent(begin: Begin, simulator: Simulator, folder: Path) -> None:
    watched = begin()
    task_id = uncertain(watched, simulator)
    watched.tracker.cancel_submission(task_id)
    time.sleep(0.4)
    assert stored(folder)[task_id].status is Status.UNCERTAIN


def test_what_is_wished_right_before_quitting_is_kept_and_not_sent(
    begin: Begin, simulator: Simulator, folder: Path, tmp_path: Path
) -> None:
    pictures = tuple(large_file(tmp_path / f"{n}.png", 4_000_000, seed=n) for n in range(5))
    first = begin()
    ids = {first.generate(f"wish {number}", pictures) for number in range(5)}
    ended(first)
    assert stored(folder).keys() == ids and simulator.asked("rodin") == []
    second = begin()
    for task_id in ids:
        second.tracker.send_now(task_id)
    wait_until(lambda: len(simulator.submissions) == 5)


def test_a_blender_that_begins_leaves_alone_what_another_one_tries_again_and_not_what_nobody_does(
    begin: Begin, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_limits, "PARALLEL_WAIT", 2.0)
    simulator.fail("rodin", "refused-parallelism-limit-reached")
    first = begin()
    task_id = first.generate()
    first.next(TaskChanged, lambda told: "automatically" in told.task.message)
    waiting = stored(folder)[task_id]
    second = begin()
    second.until(task_id, Status.UNSENT)
    time.sleep(0.8)
    assert stored(folder)[task_id] == waiting
    first.until(task_id, Status.DONE)
    # Of a program that was killed while it waited.
    Outbox(folder / "outbox").add(CHAIR)
    with closing(Store(folder / "tasks.sqlite")) as store:
        store.add(replace(waiting, task_id="0a1b2c3d", next_check_at=time.time() - transitions.OVERDUE - 1.0))
    wait_until(lambda: "Send it now" in stored(folder)["0a1b2c3d"].message)


# What nobody expects.


@pytest.mark.parametrize(("after", "status"), [(False, Status.UNSENT), (True, Status.UNCERTAIN)])
def test_an_exception_that_nobody_expected_is_uncertain_from_the_first_byte_on(
    begin: Begin, folder: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool, status: Status
) -> None:
    def submit(*_: object, begin: Callable[[], None]) -> None:
        if after:
            begin()
        raise RuntimeError

    monkeypatch.setattr(Client, "submit", submit)
    watched = begin()
    task_id = watched.generate()
    watched.next(TaskChanged, lambda told: told.task.status is status and bool(told.task.message))
    wait_until(lambda: watched.outbox.state(task_id) is (State.UNCERTAIN if after else State.UNSENT))


def test_an_answer_that_repeats_the_api_key_is_kept_without_it(begin: Begin, simulator: Simulator, folder: Path) -> None:
    simulator.fail("rodin", "answer-quotes-request")
    watched = begin()
    watched.until(watched.generate(), Status.DONE)
    assert [path for path in folder.rglob("*") if path.is_file() and API_KEY.encode() in path.read_bytes()] == []


def test_what_has_left_the_list_is_not_sent_and_nobody_waits_for_it(begin: Begin, simulator: Simulator) -> None:
    """Somebody else may forget it in the moment before it is sent again."""
    watched = begin()
    watched.tracker.send_now("gone")
    assert watched.next(NotSubmitted).task_id == "gone"
    watched.tracker.send_again("gone", "new")
    told = watched.next(NotSubmitted)
    assert told.task_id == "new" and "no longer in the list" in str(told.said) and not simulator.submissions
