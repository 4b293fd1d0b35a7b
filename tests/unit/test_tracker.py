# SPDX-License-Identifier: GPL-3.0-or-later
"""The tracker's threads against a simulated service: real sockets, real files, real time."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.service import paste_parser
from rodin_blender.service.answers import Job
from rodin_blender.service.connection import Connection
from rodin_blender.service.keys import Generation, Secret
from rodin_blender.storage import database, store
from rodin_blender.storage.store import Store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.schedule import Pace
from rodin_blender.tasks.task import Status, Task, Watch
from rodin_blender.texts.actions import Action
from rodin_blender.texts.text import Text, Trouble
from rodin_blender.tracking import tracker, workers
from rodin_blender.tracking.messages import (
    Blocker,
    BlockerChanged,
    DownloadEnded,
    Followed,
    Forgotten,
    Idle,
    KeyTested,
    Message,
    NotFollowed,
    Notice,
    RequestsThrottled,
    Restored,
    Settings,
    TaskChanged,
    TaskRemoved,
)
from rodin_blender.tracking.polling import WORKERS
from rodin_blender.tracking.task_cache import TaskCache
from tests.unit import disks, watching
from tests.unit.disks import fill
from tests.unit.sockets import closed_port, letting_nobody_in, serving
from tests.unit.watching import AT_ONCE, PACE, SOON, Begin, threads_after, wait_until
from tools.simulator import API_KEY, FAULTS, Simulator

small_disk, read_only = disks.small_disk, disks.read_only
path, begin = watching.path, watching.begin

ROOT = Path(__file__).parents[2]
A_WHILE = 0.9
"""Seconds without a request that show that none will come: several times the interval."""

def asked_for(simulator: Simulator, task: Task) -> list[float]:
    """When the service was asked about a task."""
    return [a.at for a in simulator.asked("status") if a.subscription_key == task.subscription_key.reveal()]


def nothing_is_asked(simulator: Simulator) -> bool:
    before = len(simulator.requests)
    time.sleep(A_WHILE)
    return len(simulator.requests) == before


# All well.


def test_a_task_is_followed_to_its_end_told_in_order_and_never_asked_about_again(
    begin: Begin, simulator: Simulator, path: Path
) -> None:
    watched = begin()
    task = watched.follow(simulator.add("done", prompt="a chair"))
    ended = watched.gets(task, Status.DONE)
    watched.next(Idle, lambda m: m.calls == watched.tracker.calls)
    told = watched.of(Message)
    changes = [m.task for m in told if isinstance(m, TaskChanged)]
    assert changes[0] == task and isinstance(told[told.index(Followed(task, was_known=False)) - 1], TaskChanged)
    order = [Status.UNKNOWN, Status.WAITING, Status.GENERATING, Status.DONE]
    positions = [order.index(change.status) for change in changes]
    assert positions == sorted(positions) and len({*positions}) >= 3
    assert [change.jobs_done for change in changes] == sorted(change.jobs_done for change in changes)
    assert ended.name == "a chair" and ended.message == "" and ended.finished_at > ended.tracked_at
    assert len(asked_for(simulator, task)) == len(changes) - 1
    assert nothing_is_asked(simulator)
    with closing(Store(path)) as opened:
        assert opened.tasks() == [ended]


def test_it_learns_from_ended_tasks_when_to_ask(begin: Begin, simulator: Simulator) -> None:
    def add() -> dict[str, Any]:
        return simulator.add([[(0.0, "Generating"), (2.5 * simulator.speed, "Done")]], files={})

    watched = begin()
    tasks = [watched.follow(add()) for _ in range(schedule.MIN_SAMPLES)]
    for task in tasks:
        wait_until(lambda task=task: [m for m in watched.of(TaskChanged) if m.task.task_id == task.task_id and m.task.took])
    first = next(m.task for m in watched.of(TaskChanged) if m.task.interval)
    assert first.interval == PACE.shortest
    ended = [m.task for m in watched.of(TaskChanged) if m.task.took]
    assert all(2.0 < task.took <= task.finished_at - task.tracked_at for task in ended)
    learnt = watched.follow(add())
    assert watched.becomes(learnt, lambda task: task.interval > 0.0).interval == PACE.longest
    watched.gets(learnt, Status.DONE)
    first_gap, learnt_gap = (asked[1] - asked[0] for asked in (asked_for(simulator, t) for t in (tasks[0], learnt)))
    assert first_gap < learnt_gap, "not by their number: a busy machine asks late, and so seldom, without having learnt"


def test_following_a_known_key_again_gives_the_task_that_is_there(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    answer = simulator.add(AT_ONCE)
    key = Secret(answer["jobs"]["subscription_key"])
    watched.tracker.follow(Generation(key))
    first = watched.next(Followed)
    watched.gets(first.task, Status.DONE)
    watched.tracker.follow(paste_parser.generation_answer(answer))
    again = watched.next(Followed)
    assert again.was_known and again.task.task_id == first.task.task_id
    assert (again.task.task_uuid, again.task.status) == (answer["uuid"], Status.DONE)


def test_with_nothing_to_follow_it_is_idle_and_asks_nothing(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    watched.next(Idle)
    watched.tracker.refresh()
    assert watched.next(Idle).calls == watched.tracker.calls == 1
    watched.tracker.stop()
    assert watched.tracker.join(2.0) and not threads_after(1.0)
    assert simulator.requests == []


def test_a_paused_task_is_not_asked_about_and_a_forgotten_one_is_gone(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    paused, forgotten = watched.follow(simulator.add("stuck")), watched.follow(simulator.add("stuck"))
    watched.tracker.change(paused.task_id, schedule.paused)
    watched.tracker.forget(forgotten.task_id)
    watched.next(TaskRemoved, lambda m: m.task_id == forgotten.task_id)
    watched.next(Idle)
    assert nothing_is_asked(simulator)
    watched.tracker.change(paused.task_id, lambda task: schedule.resumed(task, time.time()))
    watched.gets(paused, Status.GENERATING)


def test_a_forgotten_task_comes_back_as_it_was_and_only_when_it_is_wished(
    begin: Begin, simulator: Simulator, path: Path
) -> None:
    watched, other = begin(), begin()
    done = watched.gets(watched.follow(simulator.add(AT_ONCE, prompt="A vase")), Status.DONE)
    running = watched.gets(watched.follow(simulator.add("stuck", prompt="A chair")), Status.GENERATING)
    for task in (done, running):
        other.becomes(task, lambda task: True)
    for task in (done, running):
        watched.tracker.forget(task.task_id)
        other.next(TaskRemoved, lambda m, task=task: m.task_id == task.task_id)
    forgotten = [watched.next(Forgotten).task, watched.next(Forgotten).task]
    assert [task.name for task in forgotten] == ["A vase", "A chair"] and forgotten[0] == done
    watched.next(Idle)
    with closing(Store(path)) as opened:
        assert opened.tasks() == [], "it does not come back by itself"
    for task in forgotten:
        watched.tracker.restore(task)
        assert watched.next(Restored).task_id == task.task_id
    with closing(Store(path)) as opened:
        assert {task.task_id for task in opened.tasks()} == {done.task_id, running.task_id} and done in opened.tasks()
    before = len(simulator.requests)
    wait_until(lambda: len(simulator.requests) > before)
    assert {request.subscription_key for request in simulator.requests[before:]} == {running.subscription_key.reveal()}


def test_what_was_followed_again_meanwhile_is_not_in_the_list_twice(begin: Begin, simulator: Simulator) -> None:
    watched, answer = begin(), simulator.add(AT_ONCE)
    first = watched.gets(watched.follow(answer), Status.DONE)
    watched.tracker.forget(first.task_id)
    forgotten = watched.next(Forgotten).task
    second = watched.follow(answer)
    watched.tracker.restore(forgotten)
    assert watched.next(Restored).task_id == second.task_id != first.task_id


# Trouble.

HOLDING = {"429-seconds", "429-date"}
STOPPING = {"no-such-task", "api-error", "permission-denied", "permission-denied-403", "user-not-found", "group-not-found"}
NO_JOBS = {"no-jobs", "jobs-missing"}


def test_no_fault_changes_a_status_and_each_is_told_in_a_sentence_then_asked_again(
    begin: Begin, simulator: Simulator
) -> None:
    watched = begin(timeout=1.0)
    faults = sorted(FAULTS.keys() - HOLDING - STOPPING - {"drip"})
    tasks = {fault: watched.follow(simulator.add(AT_ONCE, faults=[fault])) for fault in faults}
    for task in tasks.values():
        wait_until(
            lambda task=task: any(
                c.task.status.final for c in watched.of(TaskChanged) if c.task.task_id == task.task_id
            )
        )
    for fault, task in tasks.items():
        told = [m.task for m in watched.of(TaskChanged) if m.task.task_id == task.task_id]
        assert [t.status for t in told] == [Status.UNKNOWN, Status.UNKNOWN, Status.DONE], fault
        message = told[1].message
        if fault in NO_JOBS:
            assert message == "The service lists no jobs yet."
        else:
            assert re.fullmatch(r"[A-Z].+\.", message) and told[1].trouble.code, (fault, message)
        assert message.isprintable() and "itself went wrong" not in message and len(message) < 200
        first, second = asked_for(simulator, task)
        assert second - first > 0.25, fault
        assert told[2].message == ""
    assert not watched.of(Notice) and not watched.of(RequestsThrottled)[1:]


def test_trouble_leaves_the_last_known_status_and_jobs(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    task = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    simulator.fail("status", "502-html")
    troubled = watched.becomes(task, lambda t: t.failures == 1)
    assert (troubled.status, troubled.jobs) == (Status.GENERATING, task.jobs)
    assert watched.becomes(task, lambda t: t.failures == 0).message == ""


@pytest.mark.parametrize(
    ("lost", "told"),
    [(lambda: nullcontext(closed_port()), "unreachable_refused"), (letting_nobody_in, "unreachable_timeout")],
    ids=["refused", "hangs"],
)
def test_a_service_that_lets_nobody_in_is_told_and_asked_again(
    begin: Begin, lost: Callable[[], AbstractContextManager[int]], told: str
) -> None:
    with lost() as port:
        watched = begin(address=f"http://127.0.0.1:{port}/api/v2", timeout=0.5)
        with Simulator(begins_when_asked=True) as elsewhere:
            answer = elsewhere.add(AT_ONCE)
        task = watched.follow(answer)
        for _ in range(2):
            watched.becomes(task, lambda t: t.code == told and t.status is Status.UNKNOWN)
    with Simulator(port=port, begins_when_asked=True) as simulator:
        simulator._tasks |= elsewhere._tasks
        watched.gets(task, Status.DONE)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no-such-task", "NO_SUCH_TASK"),
        ("api-error", "INVALID_REQUEST"),
        ("permission-denied", "accepts the API key, but does not let it see this task (PERMISSION_DENIED)"),
        ("permission-denied-403", "accepts the API key, but does not let it see this task (PERMISSION_DENIED)"),
    ],
)
def test_a_refused_task_is_not_asked_about_again_until_the_user_wishes(
    begin: Begin, simulator: Simulator, fault: str, said: str
) -> None:
    watched = begin()
    task = watched.follow(simulator.add("stuck", faults=[fault]))
    refused = watched.becomes(task, lambda t: t.watch is Watch.REFUSED)
    assert said in refused.message and Action.CHECK_NOW in refused.trouble.actions and refused.status is Status.UNKNOWN
    watched.next(Idle)
    assert nothing_is_asked(simulator)
    assert len(asked_for(simulator, task)) == 1
    watched.tracker.change(task.task_id, lambda t: schedule.due_now(t, time.time()))
    assert watched.gets(task, Status.GENERATING).watch is Watch.FOLLOWING


def test_after_a_refused_key_nothing_is_asked_for_any_task_until_there_is_another(
    begin: Begin, simulator: Simulator
) -> None:
    watched = begin(api_key=Secret("wrong-key"))
    tasks = [watched.follow(simulator.add(AT_ONCE)) for _ in range(WORKERS + 3)]
    blocker = watched.next(BlockerChanged).blocker
    assert blocker and blocker.code == "bad_key" and "HTTP 401" in str(blocker)
    time.sleep(0.3)
    count = len(simulator.requests)
    assert count <= 2 * WORKERS, "only what was under way when the key was refused, and the balance"
    watched.tracker.configure(
        Settings(simulator.url, Secret("wrong-key"), pace=Pace(0.2, 0.5, 60.0))
    )  # another pace is no other key
    tasks.append(watched.follow(simulator.add(AT_ONCE)))
    assert nothing_is_asked(simulator) and len(simulator.requests) == count
    assert {m.task.status for m in watched.of(TaskChanged)} == {Status.UNKNOWN}
    assert {m.task.message for m in watched.of(TaskChanged)} == {""}
    watched.tracker.configure(Settings(simulator.url, Secret(API_KEY), pace=PACE))
    assert watched.next(BlockerChanged).blocker is None
    wait_until(lambda: sum(m.task.status is Status.DONE for m in watched.of(TaskChanged)) == len(tasks))
    assert len(simulator.requests) == count + len(tasks)


@pytest.mark.parametrize(
    ("fault", "said"),
    [("403-json", "HTTP 403"), ("permission-denied", "PERMISSION_DENIED"), ("user-not-found", "USER_NOT_FOUND")],
)
def test_a_key_that_the_balance_refuses_too_stops_all_and_check_now_asks_once_more(
    begin: Begin, simulator: Simulator, fault: str, said: str
) -> None:
    watched = begin()
    task = watched.follow(simulator.add(AT_ONCE, faults=[fault, fault]))
    simulator.fail("check_balance", fault, fault)
    for count in (1, 2):
        blocker = watched.next(BlockerChanged, lambda m: m.blocker is not None).blocker
        assert blocker and blocker.code == "bad_key"
        assert f"does not accept the API key ({said})" in str(blocker)
        assert nothing_is_asked(simulator) and len(asked_for(simulator, task)) == count
        watched.tracker.refresh()
    watched.gets(task, Status.DONE)


@pytest.mark.parametrize("fault", ["401", "401-html", "403", "403-html", "403-json", "permission-denied"])
def test_one_refused_of_21_holds_up_no_other(begin: Begin, simulator: Simulator, fault: str) -> None:
    watched = begin()
    troubled = watched.follow(simulator.add(AT_ONCE, faults=[f"{fault}!"]))
    for task in [watched.follow(simulator.add(AT_ONCE)) for _ in range(20)]:
        wait_until(lambda task=task: any(m.task.task_id == task.task_id and m.task.status is Status.DONE for m in watched.of(TaskChanged)))
    last = [m.task for m in watched.of(TaskChanged) if m.task.task_id == troubled.task_id][-1]
    assert last.status is Status.UNKNOWN and last.message and last.followed == (fault != "permission-denied")
    assert watched.of(BlockerChanged) == []


REFUSED = b'HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 25\r\n\r\n{"error": "UNAUTHORIZED"}'
DONE = b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"jobs": [{"status": "Done"}]}'


@pytest.mark.parametrize("first", ["refused", "accepted"])
def test_a_good_answer_about_another_task_since_a_refusal_shows_that_the_key_is_accepted(
    begin: Begin, first: str
) -> None:
    """Both are under way at once, and the balance refuses the key, too: what comes first is one or the other."""
    balance_asked, may_accept, may_refuse = threading.Event(), threading.Event(), threading.Event()

    def handle(connection: socket.socket) -> None:
        request = connection.recv(65536)
        while request.startswith(b"POST") and not request.endswith(b"}"):
            request += connection.recv(65536)
        if b"accepted-one" in request:
            assert may_accept.wait(SOON)
            connection.sendall(DONE)
        elif request.startswith(b"GET"):
            balance_asked.set()
            assert may_refuse.wait(SOON)
            connection.sendall(REFUSED)
        else:
            connection.sendall(DONE if balance_asked.is_set() else REFUSED)

    with serving(handle) as address:
        watched = begin(address=address, timeout=SOON)
        tasks = {}
        for name in ("accepted-one", "refused-one"):
            watched.tracker.follow(Generation(Secret(name)))
            tasks[name] = watched.next(Followed).task
        assert balance_asked.wait(SOON)
        if first == "refused":
            may_refuse.set()
            blocker = watched.next(BlockerChanged).blocker
            assert blocker and blocker.code == "bad_key"
            may_accept.set()
            watched.gets(tasks["accepted-one"], Status.DONE)
            assert watched.next(BlockerChanged).blocker is None
        else:
            may_accept.set()
            watched.gets(tasks["accepted-one"], Status.DONE)
            may_refuse.set()
            troubled = watched.becomes(tasks["refused-one"], lambda t: t.failures == 1)
            assert "refused this request (HTTP 401), though it accepts the API key." in troubled.message
        watched.gets(tasks["refused-one"], Status.DONE)
        assert len(watched.of(BlockerChanged)) == (2 if first == "refused" else 0)


def test_a_key_found_good_by_testing_it_ends_the_blocker(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    task = watched.follow(simulator.add(AT_ONCE, faults=["401"]))
    simulator.fail("check_balance", "401")
    watched.next(BlockerChanged)
    watched.tracker.test_key()
    assert watched.next(KeyTested) == KeyTested(
        True, Text("The API key is accepted. The account has {credits} credits.", credits=12.5), Secret(API_KEY)
    )
    watched.gets(task, Status.DONE)
    simulator.fail("check_balance", "401")
    watched.tracker.test_key()
    tested = watched.next(KeyTested)
    assert not tested.accepted and tested.refused and "HTTP 401" in str(tested.said)


def test_another_key_is_tried_without_touching_the_one_in_use(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    task = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    other = Settings(simulator.url, Secret("a-mistyped-key"), pace=PACE)
    watched.tracker.test_key(other)
    tested = watched.next(KeyTested)
    assert tested.refused and tested.api_key == other.api_key and "not accept" in str(tested.said)
    assert watched.of(BlockerChanged) == [], "the key in use was not refused"
    before = len(asked_for(simulator, task))
    wait_until(lambda: len(asked_for(simulator, task)) > before)
    nobody = Settings("", Secret(""), pace=PACE, blocker=Blocker("no_key", "An API key is needed."))
    watched.tracker.configure(nobody)
    watched.tracker.test_key(Settings(simulator.url, Secret(API_KEY), pace=PACE))
    assert watched.next(KeyTested).accepted, "before there is one in use"


def test_no_task_is_asked_about_before_the_time_that_retry_after_names(begin: Begin, simulator: Simulator) -> None:
    watched = begin()
    other = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    throttled = watched.follow(simulator.add(AT_ONCE, faults=["429-seconds"]))
    held = watched.next(RequestsThrottled, lambda m: m.until > time.time() + 2).until
    trouble = watched.becomes(throttled, lambda t: t.failures == 1)
    assert trouble.status is Status.UNKNOWN and "slow down" in trouble.message
    answered = held - 3.0
    watched.gets(throttled, Status.DONE)
    wait_until(lambda: asked_for(simulator, other)[-1] > held)
    assert not [asked for asked in simulator.asked("status") if answered + 0.05 < asked.at < held - 0.01]


def test_the_deadline_ends_the_asking_until_resume(begin: Begin, simulator: Simulator) -> None:
    watched = begin(pace=replace(PACE, deadline=1.0))
    task = watched.follow(simulator.add("stuck"))
    overdue = watched.becomes(task, lambda t: t.watch is Watch.OVERDUE)
    assert overdue.status is Status.GENERATING and Action.RESUME in overdue.trouble.actions
    assert watched.next(Idle)
    assert nothing_is_asked(simulator)
    watched.tracker.change(task.task_id, lambda t: schedule.resumed(t, time.time()))
    count = len(asked_for(simulator, task))
    watched.becomes(task, lambda t: t.watch is Watch.OVERDUE)
    assert len(asked_for(simulator, task)) >= count + 2


def test_a_blocker_keeps_all_requests_back_and_its_end_lets_them_go_by_itself(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    offline = Blocker("offline", "Blender is not allowed to go online.")
    watched = begin(blocker=offline)
    assert watched.next(BlockerChanged).blocker == offline
    task = watched.follow(simulator.add(AT_ONCE, files={"a.bin": b"a"}))
    watched.tracker.test_key()
    tested = watched.next(KeyTested)
    assert (tested.accepted, tested.said, tested.refused) == (False, offline, False)
    watched.tracker.download(task.task_id, tmp_path)
    assert watched.next(DownloadEnded) == DownloadEnded(
        task.task_id, "", Trouble("offline", Text("Nothing was downloaded. {why}", why=offline), Action.DOWNLOAD)
    )
    time.sleep(A_WHILE)
    assert simulator.requests == []
    watched.tracker.configure(Settings(simulator.url, Secret(API_KEY), pace=PACE))
    watched.gets(task, Status.DONE)
    assert [m.blocker for m in watched.of(BlockerChanged)] == [offline, None]


def test_an_answer_that_drips_is_cut_short(begin: Begin, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LONGEST_CALL", 0.7)
    watched = begin()
    task = watched.follow(simulator.add(AT_ONCE, faults=["drip"]))
    cut = watched.becomes(task, lambda t: t.failures == 1)
    assert cut.message == "The service took too long over its answer."
    assert 0.7 <= cut.checked_at - asked_for(simulator, task)[0] < 4.0
    watched.gets(task, Status.DONE)


def test_an_error_of_ours_is_told_and_ends_no_thread(
    begin: Begin, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    watched = begin()
    task = watched.follow(simulator.add(AT_ONCE))

    def broken(_task: Task) -> Task:
        raise ZeroDivisionError

    watched.tracker.change(task.task_id, broken)
    assert "ZeroDivisionError" in str(watched.next(Notice).said)
    watched.gets(watched.follow(simulator.add(AT_ONCE)), Status.DONE)
    (logged,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in logged and "test_tracker.py" in logged


# The disk.


def test_with_the_list_out_of_reach_nothing_is_asked_and_keys_are_reported_as_not_followed(
    begin: Begin, simulator: Simulator, path: Path
) -> None:
    path.parent.write_text("a file where the folder should be")
    watched = begin()
    blocker = watched.next(BlockerChanged).blocker
    assert blocker and blocker.code == "store" and str(path) in str(blocker)
    answer = simulator.add(AT_ONCE)
    watched.tracker.follow(paste_parser.generation_answer(answer))
    text = str(watched.next(NotFollowed).said)
    assert "not followed yet" in text and str(path) in text
    path.parent.unlink()
    assert watched.next(BlockerChanged).blocker is None
    assert simulator.requests == []
    watched.gets(watched.follow(answer), Status.DONE)


def test_from_a_read_only_folder_nothing_is_asked_until_it_can_be_written(
    begin: Begin, simulator: Simulator, read_only: tuple[Path, Callable[[], None]]
) -> None:
    folder, make_writable = read_only
    make_writable()
    first = begin(folder / "tasks.sqlite")
    task = first.gets(first.follow(simulator.add("stuck")), Status.GENERATING)
    first.tracker.stop()
    assert first.tracker.join(SOON)
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    watched = begin(folder / "tasks.sqlite")
    blocker = watched.next(BlockerChanged).blocker
    assert blocker and blocker.code == "store" and "read-only" in str(blocker).lower()
    assert nothing_is_asked(simulator)
    make_writable()
    count = len(asked_for(simulator, task))
    wait_until(lambda: len(asked_for(simulator, task)) > count)


def test_a_full_disk_is_one_blocker_with_no_requests_and_its_end_is_noticed(
    begin: Begin,
    simulator: Simulator,
    small_disk: Path,
) -> None:
    watched = begin(small_disk / "tasks.sqlite")
    task = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    filler = fill(small_disk)
    blocker = watched.next(BlockerChanged).blocker
    assert blocker and blocker.code == "store" and "disk is full" in str(blocker)
    watched.tracker.follow(paste_parser.generation_answer(simulator.add("stuck")))
    assert "disk is full" in str(watched.next(NotFollowed).said)
    time.sleep(0.3)
    assert nothing_is_asked(simulator) and nothing_is_asked(simulator)
    assert len(watched.of(BlockerChanged)) == 1, "told once, not anew at each look"
    filler.unlink()
    assert watched.next(BlockerChanged).blocker is None
    count = len(asked_for(simulator, task))
    wait_until(lambda: len(asked_for(simulator, task)) > count)


def test_a_damaged_list_is_told_with_the_name_under_which_it_now_lies(begin: Begin, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    text = str(begin().next(Notice).said)
    (aside,) = path.parent.glob("*damaged*")
    assert str(aside) in text and aside.read_bytes() == b"garbage" * 1000


class Gated(Simulator):
    """Answers about a task only once `gate` is set."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        super().__init__(speed=10)

    def _status(self, request: Any) -> Any:
        self.gate.wait(30)
        return super()._status(request)


def test_an_answer_that_cannot_be_stored_is_shown_then_stored_without_asking_again(
    begin: Begin, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    with Gated() as gated:
        watched = begin(address=gated.url)
        task = watched.follow(gated.add(AT_ONCE))
        wait_until(lambda: watched.tracker._polling.pool.busy)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            gated.gate.set()
            watched.gets(task, Status.DONE)
            blocker = watched.next(BlockerChanged).blocker
            assert blocker and blocker.code == "store" and "locked" in str(blocker)
            other.execute("ROLLBACK")
        assert watched.next(BlockerChanged).blocker is None
        with closing(Store(path)) as opened:
            wait_until(lambda: opened.tasks()[0].status is Status.DONE)
        assert len(gated.asked("status")) == 1


# Several Blenders.


def test_two_trackers_on_one_list_make_each_check_once_and_see_the_same(
    begin: Begin, simulator: Simulator, path: Path
) -> None:
    one, two = begin(), begin()
    answers = [simulator.add(_long_story()) for _ in range(6)]
    tasks = [(one, two)[number % 2].follow(answer) for number, answer in enumerate(answers)]
    for watched in (one, two):
        for task in tasks:
            wait_until(
                lambda watched=watched, task=task: any(
                    m.task.task_id == task.task_id and m.task.status is Status.DONE for m in watched.of(TaskChanged)
                )
            )
    for task in tasks:
        times = asked_for(simulator, task)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert min(gaps) > PACE.shortest * 0.8, gaps
    with closing(Store(path)) as opened:
        final = {task.task_id: task for task in opened.tasks()}
    for watched in (one, two):
        assert {m.task.task_id: m.task for m in watched.of(TaskChanged)} == final


def _long_story() -> list[list[tuple[float, str]]]:
    """Two and a half seconds at the simulator's speed of 10."""
    return [[(0.0, "Waiting"), (12.0, "Generating"), (25.0, "Done")]]


def test_what_one_tracker_forgets_or_pauses_the_other_follows_suit(begin: Begin, simulator: Simulator) -> None:
    one, two = begin(), begin()
    first, second = one.follow(simulator.add("stuck")), one.follow(simulator.add("stuck"))
    two.gets(second, Status.GENERATING)
    two.tracker.forget(first.task_id)
    one.next(TaskRemoved, lambda m: m.task_id == first.task_id)
    one.tracker.change(second.task_id, schedule.paused)
    two.becomes(second, lambda t: t.watch is Watch.PAUSED)
    # A check that was begun before the pause may reach a busy service after it.
    wait_until(lambda: not any(watched.tracker._polling.pool.busy for watched in (one, two)))
    assert nothing_is_asked(simulator)


# The end.


def test_stop_returns_at_once_ends_all_threads_and_frees_what_was_under_way(
    begin: Begin, simulator: Simulator, path: Path
) -> None:
    simulator.fail("status", "hang!")
    watched = begin(timeout=30.0)
    for number in range(100):
        watched.tracker.follow(paste_parser.generation_answer(simulator.add(prompt=f"{number:03d}")))
    wait_until(lambda: len(simulator.requests) >= WORKERS and len(watched.of(Followed)) == 100)
    assert len(simulator.requests) == WORKERS
    begun = time.monotonic()
    watched.tracker.stop()
    assert time.monotonic() - begun < 0.1
    assert threads_after(2.0) == []
    under_way = {asked.subscription_key for asked in simulator.requests}
    with closing(Store(path)) as opened:
        assert len(opened.tasks()) == 100
        claimable = {claim.task.subscription_key.reveal() for claim in opened.claim_due(time.time() + 1, 99)}
    assert under_way <= claimable


def test_what_was_called_before_stop_is_stored(begin: Begin, simulator: Simulator, path: Path) -> None:
    watched = begin()
    for _ in range(8):
        watched.tracker.follow(paste_parser.generation_answer(simulator.add()))
    watched.tracker.stop()
    assert watched.tracker.join(3.0)
    with closing(Store(path)) as opened:
        assert len(opened.tasks()) == 8


def test_a_program_that_ends_without_stop_exits_soon_with_its_last_task_stored(
    simulator: Simulator, path: Path
) -> None:
    simulator.fail("status", "hang!")
    script = f"""
import time
import urllib.request
from pathlib import Path
from rodin_blender.service.keys import Generation, Secret
from rodin_blender.tracking.messages import Settings
from rodin_blender.tracking.tracker import Tracker
tracker = Tracker(Path({str(path)!r}), Settings({simulator.url!r}, Secret({API_KEY!r}), timeout=60.0))
tracker.follow(Generation(Secret("first")))
while b"status" not in urllib.request.urlopen({f"{simulator.root}/simulator/requests"!r}).read():
    time.sleep(0.02)
tracker.follow(Generation(Secret("last")))
print(time.time())
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert time.time() - float(ended.stdout) < 6.0
    with closing(Store(path)) as opened:
        assert {task.subscription_key for task in opened.tasks()} == {Secret("first"), Secret("last")}


def test_a_tracker_of_a_new_session_goes_on_with_what_the_last_one_left(begin: Begin, simulator: Simulator) -> None:
    first = begin()
    task = first.gets(first.follow(simulator.add(_long_story())), Status.WAITING)
    first.tracker.stop()
    assert first.tracker.join(3.0)
    second = begin()
    assert second.gets(task, Status.DONE).jobs == (Job(task.jobs[0].uuid, "Done"),)


# What a hostile day found.


def test_a_pause_asked_for_while_the_list_is_locked_is_kept(
    begin: Begin, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    with Gated() as gated:
        watched = begin(address=gated.url)
        gated.fail("status", "429-seconds")
        watched.follow(gated.add("stuck"))
        wait_until(lambda: watched.tracker._polling.pool.busy)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            gated.gate.set()
            held = watched.next(RequestsThrottled, lambda m: m.until > time.time() + 1).until
            watched.next(BlockerChanged)
            other.execute("ROLLBACK")
        watched.next(BlockerChanged, lambda m: m.blocker is None)
        with closing(Store(path)) as opened:
            assert opened.next_request_at(time.time()) == pytest.approx(held, abs=0.01)
            assert opened.tasks()[0].failures == 1


def test_stop_with_the_list_locked_waits_once_for_all_calls(begin: Begin, path: Path) -> None:
    watched = begin()
    watched.next(Idle)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        watched.tracker.stop()
        for number in range(5):
            watched.tracker.follow(Generation(Secret(f"key-{number}")))
        assert watched.tracker.join(3.0)
    assert len(watched.of(NotFollowed)) == 5


def test_an_answer_that_waits_to_be_stored_is_stored_by_stop(
    begin: Begin, simulator: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, full = Store.complete_check, threading.Event()
    full.set()

    def settle_if_room(self: Store, *args: Any) -> Task | None:
        if full.is_set():
            raise database.StoreError("The disk is full.")
        return settle(self, *args)

    monkeypatch.setattr(Store, "complete_check", settle_if_room)
    watched = begin()
    watched.gets(watched.follow(simulator.add(AT_ONCE)), Status.DONE)
    monkeypatch.setattr(tracker.Tracker, "_sync_and_poll", lambda _self: None)
    full.clear()
    watched.tracker.stop()
    assert watched.tracker.join(3.0)
    with closing(Store(path)) as opened:
        assert opened.tasks()[0].status is Status.DONE


def test_a_task_is_not_asked_about_again_while_its_answer_is_awaited(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CLAIM_LASTS", 0.3)
    with Gated() as gated:
        watched = begin(address=gated.url)
        task = watched.follow(gated.add(AT_ONCE))
        wait_until(lambda: watched.tracker._polling._under_way)
        time.sleep(A_WHILE)
        gated.gate.set()
        watched.gets(task, Status.DONE)
        assert len(gated.asked("status")) == 1


def test_a_claim_without_an_answer_is_given_back_in_the_end(
    begin: Begin, simulator: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a name server that hangs: nothing can cut that short.
    monkeypatch.setattr(workers._Worker, "abort", lambda _self: None)
    simulator.fail("status", "hang")
    watched = begin(timeout=3.0)
    watched.follow(simulator.add("stuck"))
    wait_until(lambda: simulator.requests)
    watched.tracker.stop()
    assert watched.tracker.join(3.0)
    with closing(Store(path)) as opened:
        assert len(opened.claim_due(time.time() + 1, 9)) == 1
    assert not threads_after(SOON)


def test_what_it_knows_is_not_lost_where_another_blender_finds_the_list_damaged(
    begin: Begin, simulator: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_at_a_time, reopen_if_moved = threading.Lock(), TaskCache.reopen_if_moved

    def reopen_in_turn(self: TaskCache) -> bool:
        with one_at_a_time:
            return reopen_if_moved(self)

    monkeypatch.setattr(TaskCache, "reopen_if_moved", reopen_in_turn)
    watched = begin()
    done = watched.gets(watched.follow(simulator.add(AT_ONCE)), Status.DONE)
    running = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    # On a busy machine the tracker could have restored all before the other Blender has looked.
    with one_at_a_time:
        damaged = b"\0" * path.stat().st_size
        with path.open("r+b") as file:
            file.write(damaged)
        # What another Blender does that starts now: nothing of it can be read.
        with closing(Store(path)) as opened:
            assert opened.set_aside and opened.set_aside.read_bytes() == damaged and opened.tasks() == []
    count = len(asked_for(simulator, running))
    wait_until(lambda: len(asked_for(simulator, running)) > count + 1)
    assert watched.of(TaskRemoved) == []
    with closing(Store(path)) as opened:
        listed = {task.task_id: task for task in opened.tasks()}
    assert listed[done.task_id] == done and running.task_id in listed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not replace an open file")
def test_an_older_copy_in_the_lists_place_gets_what_came_since(begin: Begin, simulator: Simulator, path: Path) -> None:
    watched = begin()
    first = watched.follow(simulator.add([[(0.0, "Generating"), (simulator.speed, "Done")]], files={}))
    older = path.with_name("older")
    older.write_bytes(path.read_bytes())
    done = watched.gets(first, Status.DONE)
    later = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    count = len(asked_for(simulator, first))
    older.replace(path)
    with closing(Store(path)) as opened:
        wait_until(lambda: {task.task_id for task in opened.tasks()} == {first.task_id, later.task_id})
        assert done in opened.tasks()
    assert len(asked_for(simulator, first)) == count
    assert watched.of(TaskRemoved) == []


def test_a_key_that_another_blender_read_wrong_from_a_damaged_list_is_put_right(
    begin: Begin, simulator: Simulator, path: Path
) -> None:
    watched = begin()
    task = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    key = task.subscription_key.reveal().encode()
    content = path.read_bytes()
    assert content.count(key) == 2, "in the table, and in its index"
    with path.open("r+b") as file:
        file.write(content.replace(key, b"wrong" + key[5:], 1))
    with closing(Store(path)) as opened:
        assert opened.set_aside
    count = len(asked_for(simulator, task))
    wait_until(lambda: len(asked_for(simulator, task)) > count + 1)
    with closing(Store(path)) as opened:
        assert [(t.task_id, t.subscription_key) for t in opened.tasks()] == [(task.task_id, task.subscription_key)]


def _moved_away_and_back(path: Path) -> None:
    away = path.with_name("away")
    path.rename(away)
    time.sleep(1.0)
    away.replace(path)


def _replaced_by_its_copy(path: Path) -> None:
    """As a sync client or a backup program does."""
    copy = path.with_name("copy")
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    copy.replace(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not delete or replace an open file")
@pytest.mark.parametrize(
    "happens", [Path.unlink, lambda path: shutil.rmtree(path.parent), _moved_away_and_back, _replaced_by_its_copy],
    ids=["deleted", "its folder deleted", "moved away and back", "replaced"],
)  # fmt: skip
def test_whatever_becomes_of_its_file_the_list_is_written_anew(
    begin: Begin, simulator: Simulator, path: Path, happens: Callable[[Path], None]
) -> None:
    watched = begin()
    first = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    happens(path)
    count = len(asked_for(simulator, first))
    wait_until(lambda: len(asked_for(simulator, first)) > count + 1)
    second = watched.follow(simulator.add("stuck"))
    with closing(Store(path)) as opened:
        wait_until(lambda: {task.task_id for task in opened.tasks()} == {first.task_id, second.task_id})
    watched.gets(second, Status.GENERATING)
    assert not watched.of(TaskRemoved)


def test_a_shown_status_does_not_go_back_while_it_waits_to_be_stored(
    begin: Begin, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(*_args: object) -> None:
        raise database.StoreError("The disk is full.")

    with Gated() as gated:
        watched = begin(address=gated.url)
        task = watched.follow(gated.add(AT_ONCE))
        with monkeypatch.context() as full:
            full.setattr(Store, "complete_check", settle)
            gated.gate.set()
            watched.gets(task, Status.DONE)
            with closing(Store(path)) as other:
                other.change(task.task_id, lambda stored: replace(stored, name="renamed"))
            time.sleep(A_WHILE)
        watched.becomes(task, lambda t: t.name == "renamed")
        shown = [m.task.status for m in watched.of(TaskChanged)]
        assert shown == sorted(shown, key=[Status.UNKNOWN, Status.DONE].index)


def test_an_error_stream_that_cannot_be_written_ends_no_thread(
    begin: Begin, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def write(self, _text: str) -> None:
            raise BrokenPipeError

        flush = write

    def broken(_task: Task) -> Task:
        raise ZeroDivisionError

    watched = begin()
    task = watched.follow(simulator.add("stuck"))
    monkeypatch.setattr(sys, "stderr", Closed())
    watched.tracker.change(task.task_id, broken)
    watched.next(Notice)
    watched.gets(task, Status.GENERATING)


def test_what_was_pressed_with_the_list_locked_is_told_as_not_done(
    begin: Begin, simulator: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    watched = begin()
    task = watched.gets(watched.follow(simulator.add("stuck")), Status.GENERATING)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for press in (lambda: watched.tracker.change(task.task_id, schedule.paused),
                      lambda: watched.tracker.forget(task.task_id)):  # fmt: skip
            press()
            text = str(watched.next(Notice).said)
            assert "not done" in text and "locked" in text


def test_the_test_of_an_old_key_says_nothing_of_the_new_one(begin: Begin, simulator: Simulator) -> None:
    watched = begin(api_key=Secret("wrong-key"))
    watched.follow(simulator.add("stuck"))
    assert watched.next(BlockerChanged).blocker
    old = Connection(simulator.url, Secret(API_KEY), 2.0)
    watched.tracker._inbox.put(lambda: watched.tracker._account._tested(old, 12.5))
    assert watched.next(KeyTested).accepted
    assert nothing_is_asked(simulator)
