# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests a minute, and how many generations at a time, for all programs that use one list."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.service.keys import Secret
from rodin_blender.storage.store import LimitReached, Store
from rodin_blender.tasks import transitions
from rodin_blender.tasks.submission import Accepted
from rodin_blender.tasks.task import Status, Task
from rodin_blender.texts.text import Trouble
from rodin_blender.tracking import outbox_sync, send_limits, submitting
from rodin_blender.tracking.messages import Idle, TaskChanged
from rodin_blender.tracking.sending import Outcome
from rodin_blender.tracking.submitting import Submissions
from tests.unit import test_submitting
from tests.unit.shell import Shell, shell
from tests.unit.test_submitting import Generating, stored
from tests.unit.watching import wait_until
from tools.simulator import Simulator

__all__ = ["shell"]

simulator, folder, begin = test_submitting.simulator, test_submitting.folder, test_submitting.begin


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_are_generated_at_a_time_than_the_settings_allow_by_two_programs_together(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(send_limits, "RETRY_INTERVAL", 0.1)
    two = [begin(parallel_generations=limit), begin(parallel_generations=limit)]
    ids = [watched.generate() for watched in two for _ in range(3)]
    most, end = 0, time.monotonic() + 40.0
    while (tasks := stored(folder)).keys() < set(ids) or not all(task.status.final for task in tasks.values()):
        assert time.monotonic() < end
        under_way = (Status.SENDING, Status.UNKNOWN, Status.WAITING, Status.GENERATING)
        most = max(most, sum(task.status in under_way for task in tasks.values()))
        time.sleep(0.02)
    assert 1 <= most <= limit
    assert len(simulator.submissions) == len(ids), "each was sent once"
    told = [message.task for watched in two for message in watched.of(TaskChanged)]
    waiting = [task for task in told if f"as the settings allow ({limit})" in task.message]
    assert waiting and all(task.status is Status.UNSENT and task.next_check_at for task in waiting)


def test_one_whose_sender_waits_for_the_balance_is_not_taken_for_unsent_by_another_program(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_sync, "SYNC_INTERVAL", 0.05)
    sender, other = begin(timeout=30.0), begin()
    simulator.fail("check_balance", "hang")
    task_id = sender.generate()
    sender.until(task_id, Status.SENDING)
    other.until(task_id, Status.SENDING)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert stored(folder)[task_id].status is Status.SENDING
        time.sleep(0.02)
    assert not simulator.submissions


def test_a_sender_that_a_busy_machine_holds_up_is_left_alone_by_one_that_looks_for_the_first_time(
    begin: Callable[..., Generating],
    folder: Path,
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is held up as it begins, once the list says that it sends, and at the end, before the list says that it did."""
    send, accept = submitting.send, Submissions._accept
    held_up = {"begins": threading.Event(), "ends": threading.Event()}
    goes_on = {moment: threading.Event() for moment in held_up}

    def held(moment: str) -> None:
        held_up[moment].set()
        assert goes_on[moment].wait(20.0)

    def slow_send(*given: Any) -> Outcome:
        held("begins")
        return send(*given)

    def slow_accept(self: Submissions, *given: Any) -> None:
        held("ends")
        accept(self, *given)

    monkeypatch.setattr(submitting, "send", slow_send)
    monkeypatch.setattr(Submissions, "_accept", slow_accept)
    caplog.set_level("INFO", logger="rodin_blender")
    task_id = begin().generate()
    for moment, reached in held_up.items():
        assert reached.wait(20.0)
        looking = begin()
        looking.next(Idle)
        assert stored(folder)[task_id].status is Status.SENDING
        goes_on[moment].set()
    looking.until(task_id, Status.DONE)
    assert len(simulator.submissions) == 1
    assert [record.fields["event"] for record in caplog.records].count("submitted") == 1  # type: ignore[attr-defined]


def test_without_a_limit_all_begin_at_once(begin: Callable[..., Generating], simulator: Simulator) -> None:
    simulator.speed = 0.01
    watched = begin()
    for _ in range(3):
        watched.generate()
    wait_until(lambda: len(simulator.submissions) == 3)
    assert not [message for message in watched.of(TaskChanged) if "settings allow" in message.task.message]


def test_one_that_waits_for_room_can_be_cancelled_and_is_not_written_at_each_look(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_limits, "RETRY_INTERVAL", 0.05)
    simulator.speed = 0.01
    watched = begin(parallel_generations=1)
    first = watched.generate()
    watched.until(first, Status.UNKNOWN)
    second = watched.generate()
    watched.next(TaskChanged, lambda told: told.task.task_id == second and "settings allow" in told.task.message)
    time.sleep(0.5)
    assert len([told for told in watched.of(TaskChanged) if told.task.task_id == second]) <= 3
    watched.tracker.cancel_submission(second)
    watched.next(TaskChanged, lambda told: told.task.task_id == second and not told.task.next_check_at)
    assert len(simulator.submissions) == 1


def test_the_room_is_that_of_the_list_and_only_what_is_under_way_takes_it(tmp_path: Path) -> None:
    now = time.time()
    with closing(Store(tmp_path / "tasks.sqlite")) as one, closing(Store(tmp_path / "tasks.sqlite")) as other:
        for number in range(3):
            one.add(Task(f"t{number}", "Vase", Secret(""), status=Status.UNSENT, kind="generate", tracked_at=now))
        one.add(Task("tracked", "Pot", Secret("key"), tracked_at=now))
        assert one.under_way() == 0, "what somebody else began takes no room of ours"
        one.change("t0", transitions.sending(), max_under_way=1)
        with pytest.raises(LimitReached):
            other.change("t1", transitions.sending(), max_under_way=1)
        assert other.change("t1", lambda task: task).status is Status.UNSENT  # type: ignore[union-attr]
        other.change("t0", transitions.accepted(Accepted("uuid", Secret("k0"), (), 0.5), now))
        assert one.under_way() == 1
        one.change("t0", transitions.uncertain("Nobody knows."))
        with pytest.raises(LimitReached):
            one.change("t1", transitions.sending(), max_under_way=1)


def test_the_requests_of_a_minute_are_as_many_as_the_settings_say(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    with closing(Store(tmp_path / "tasks.sqlite")) as one, closing(Store(tmp_path / "tasks.sqlite")) as other:
        one.requests_per_minute, other.requests_per_minute = 3, 5
        assert [one.reserve_request(now) <= now for _ in range(4)] == [True, True, True, False]
        assert [other.reserve_request(now) <= now for _ in range(3)] == [True, True, False], "they count each other's"


def test_the_setting_reaches_what_asks(shell: Shell) -> None:
    answers = [shell.add() for _ in range(3)]
    began = time.monotonic()
    # A clock of a minute is too long for a test: of two requests a minute the third waits.
    process = shell.start("status", shell.keys(*answers), RODIN_REQUESTS_PER_MINUTE="2")
    while len(shell.simulator.asked("status")) < 2:
        assert time.monotonic() < began + 20.0
        time.sleep(0.05)
    time.sleep(1.0)
    assert len(shell.simulator.asked("status")) == 2
    process.kill()
    process.communicate()


def test_what_was_seen_is_not_written_over_what_its_sender_has_done_since() -> None:
    """Another program looks whether one is sent, and its sender begins before it can note what it saw."""
    seen = Task("t0", "Vase", Secret(""), status=Status.UNSENT, kind="generate")
    note = transitions.as_seen(seen, transitions.left(Trouble("not_sent", "It was not sent yet."), time.time()))
    sent = transitions.sending()(seen)
    assert note(seen).trouble and note(sent) == sent
