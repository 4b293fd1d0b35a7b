# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of tasks under any sequence of what several Blenders, a wandering clock and accidents do to it.

Several `Store`s are open on one file. What they say is compared with a plain dict after each step, and with what the
store promises: no task lost, no task claimed twice, no request too many.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rodin_blender.service.answers import Job
from rodin_blender.service.keys import Secret
from rodin_blender.storage import rows, second_copy, store
from rodin_blender.storage.store import CLAIM_LASTS, LOCK_TIMEOUT, Claim, Store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.schedule import CLOCK_SLACK, Pace
from rodin_blender.tasks.task import Status, Task, Watch
from rodin_blender.texts.text import Trouble
from tests.unit.forking import ROOT, Forked
from tools.memory_disk import memory_disk

NOW = 1_800_000_000.0
BUDGET = 5
"""Requests a minute here: so few that they are used up."""
BLENDERS = 3
PATIENCE = 0.5
"""Nobody holds the list locked here for long."""
PACE = Pace(5.0, 30.0, 300.0)

# Any number stands for one of what there is: the tasks, the Blenders, the claims.
picks = st.integers(0, 40)
blenders = st.integers(0, BLENDERS - 1)
lags = st.sampled_from([0.0, 0.0, 0.0, 0.5, LOCK_TIMEOUT])
"""How long ago a Blender read its clock, since it waits for the others at the list."""
words = st.sampled_from(["Waiting", "Generating", "Done", "Failed", "Polishing"])
outcomes = st.one_of(
    st.lists(words, max_size=3).map(lambda found: tuple(Job(str(n), word) for n, word in enumerate(found))),
    st.sampled_from(["no answer", "refused", "nothing learnt"]),
    st.sampled_from([0.0, 7.0, 100.0]),
)
wishes: dict[str, Callable[[Task, float], Task]] = {
    "pause": lambda task, now: schedule.paused(task),
    "resume": schedule.resumed,
    "check now": schedule.due_now,
    "rename": lambda task, now: replace(task, name=f"{task.name[:20]}*"),
    # Nobody asks about a task that has ended, so nothing finishes it once more.
    "finish": lambda task, now: (
        task if task.status.final else schedule.after_answer(task, (Job("a", "Done"),), now, PACE, 0.5)
    ),
}


@dataclass
class Held:
    """A claim as the model knows it. It stays that until it is settled, voided, or the task claimed anew."""

    token: str
    at: float

    def valid(self, now: float) -> bool:
        """Neither lapsed nor from before the clock was set back."""
        return now < self.at + CLAIM_LASTS and self.at <= now + CLOCK_SLACK


@dataclass
class Model:
    tasks: dict[str, Task] = field(default_factory=dict)
    """In the order in which they were added."""
    claims: dict[str, Held] = field(default_factory=dict)
    final: dict[str, Status] = field(default_factory=dict)
    requests: list[float] = field(default_factory=list)
    """All there ever were, by the clock of the one who sent them."""
    holds: list[tuple[float, float]] = field(default_factory=list)
    """(from, until), all there ever were."""
    since: tuple[int, int] = (0, 0)
    """How many of the requests and of the holds there were when the clock was last set, or the list last damaged."""

    def newest_first(self) -> list[Task]:
        return sorted(self.tasks.values(), key=lambda task: task.tracked_at)[::-1]


KILLED_WHILE_WRITING = """
import os, sys
from pathlib import Path
from rodin_blender.storage.store import Store

try:
    path = Path(sys.argv[1])
    db = Store(path)._db
    # Too small a cache: the change is written into the file, and what was there before into the journal.
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE task SET trouble = ?, subscription_key = task_id, claim = 'x'", ("x" * 20_000,))
    db.execute("DELETE FROM request")
    os._exit(7 if Path(f"{path}-journal").stat().st_size > 4096 else 8)
finally:
    os._exit(9)
"""
"""A program of its own: a fork of the tests' process would copy all that Hypothesis remembers."""


class StoreMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        # The many writes cost no disk's time: the file's promises after a power cut are not the question here.
        self.folder = Path(tempfile.mkdtemp(dir=memory_disk()))
        self.path = self.folder / "rodin" / "tasks.sqlite"
        self.clock = NOW
        self.count = 0
        self.model = Model()
        self.unseen: set[int] = set()
        """The Blenders that have not looked since another changed the list."""
        self.taken: list[tuple[int, Claim]] = []
        """Claims that wait for their answer, however late it is."""
        self.stores = [Store(self.path, PATIENCE) for _ in range(BLENDERS)]

    def teardown(self) -> None:
        for opened in self.stores:
            opened.close()
        shutil.rmtree(self.folder)

    # What users do.

    @rule(by=blenders, ago=st.sampled_from([0.0, 0.0, 1.0, 3600.0]), name=st.sampled_from(["", "vase", "Task 2"]))
    def add(self, by: int, ago: float, name: str) -> None:
        self.count += 1
        at = self.clock - ago
        new = Task(
            f"id-{self.count}", name, Secret(f"key-{self.count}" + "k" * 300), tracked_at=at, next_check_at=at + 0.5
        )
        taken = {task.name for task in self.model.tasks.values()}
        free = next(f"Task {number}" for number in range(1, 99) if f"Task {number}" not in taken)
        expected = replace(new, name=name or free)
        assert self.stores[by].add(new) == expected
        self._put(by, expected)

    @initialize(count=st.integers(0, 8))
    def begin(self, count: int) -> None:
        for _ in range(count):
            self.add(0, 0.0, "")

    @precondition(lambda self: self.model.tasks)
    @rule(by=blenders, which=picks, uuid=st.sampled_from(["", "uuid-1", "uuid-2"]))
    def add_a_known_key(self, by: int, which: int, uuid: str) -> None:
        known = self._task(which)
        again = replace(known, task_id="other", name="other", task_uuid=uuid, status=Status.UNKNOWN, jobs=())
        expected = replace(known, task_uuid=uuid or known.task_uuid)
        assert self.stores[by].add(again) == expected
        self._put(by, expected)

    @precondition(lambda self: self.model.tasks)
    @rule(by=blenders, which=picks, wish=st.sampled_from([*wishes]), lag=lags, asked_about=st.booleans())
    def wish(self, by: int, which: int, wish: str, lag: float, asked_about: bool) -> None:
        def change(task: Task) -> Task:
            return wishes[wish](task, self.clock - lag)

        claimed = [*self.model.claims]
        task = self.model.tasks[claimed[which % len(claimed)]] if claimed and asked_about else self._task(which)
        expected = change(task)
        assert self.stores[by].change(task.task_id, change) == expected
        self._put(by, expected)

    @precondition(lambda self: self.model.tasks)
    @rule(by=blenders, which=picks)
    def forget(self, by: int, which: int) -> None:
        task_id = self._task(which).task_id
        self.stores[by].forget(task_id)
        self.model.claims.pop(task_id, None)
        self.model.final.pop(task_id, None)
        del self.model.tasks[task_id]
        self._changed_by(by)
        assert self.stores[by].change(task_id, schedule.paused) is None

    # What trackers do.

    @rule(by=blenders, most=st.sampled_from([1, 2, 4, 99]), lag=lags, sparing=st.booleans())
    def claim_due(self, by: int, most: int, lag: float, sparing: bool) -> None:
        now = self.clock - lag
        but = {claim.task.task_id for owner, claim in self.taken if owner == by} if sparing else set()
        held, valid = self.model.claims, [t for t, claim in self.model.claims.items() if claim.valid(now)]
        due = [
            task for task in self.model.tasks.values()
            if schedule.is_due(task, now) and task.task_id not in valid and task.task_id not in but
        ]  # fmt: skip
        claims = self.stores[by].claim_due(now, most, but)
        for claim in claims:
            task = claim.task
            assert task.task_id not in valid, "claimed twice"
            assert task.task_id not in but
            assert not task.status.final and task.watch is Watch.FOLLOWING
            assert task == self.model.tasks[task.task_id] and task in due
            held[task.task_id] = Held(claim.token, now)
            self.taken.append((by, claim))
            self._note_request(now)
        longest_due = sorted(task.next_check_at for task in due)
        assert [claim.task.next_check_at for claim in claims] == longest_due[: len(claims)]
        if not self._may_be_held(now):
            assert len(claims) >= min(most, len(due), self._surely_left(now)), "a due task waits for nothing"
        assert len(claims) <= most

    @precondition(lambda self: self.taken)
    @rule(which=picks, outcome=outcomes, chance=st.sampled_from([0.0, 0.5, 1.0]), lag=lags)
    def settle(self, which: int, outcome: tuple[Job, ...] | str | float, chance: float, lag: float) -> None:
        by, claim = self.taken.pop(which % len(self.taken))
        now = self.clock - lag

        def change(task: Task) -> Task:
            match outcome:
                case tuple():
                    return schedule.after_answer(task, outcome, now, PACE, chance)
                case "refused":
                    return schedule.after_refusal(task, Trouble("refused", "Refused."), now)
                case "nothing learnt":
                    return task
                case _:
                    wait = outcome if isinstance(outcome, float) else None
                    return schedule.after_failure(task, Trouble("no_answer", "No answer."), now, PACE, chance, wait)

        task_id = claim.task.task_id
        before = self.model.tasks.get(task_id)
        after = self.stores[by].complete_check(claim, change)
        if before is None:
            assert after is None, "an answer brought a forgotten task back"
            return
        if not self._holds(claim):
            assert after == before, "another has taken the claim since, or it was voided"
            return
        del self.model.claims[task_id]
        expected = before if before.status.final else change(before)
        if not before.followed and not expected.status.final:
            expected = before
        assert after == expected
        self._put(by, expected)

    @rule(by=blenders, lag=lags, times=st.integers(1, BUDGET + 1))
    def take_requests(self, by: int, lag: float, times: int) -> None:
        now = self.clock - lag
        for _ in range(times):
            when = self.stores[by].reserve_request(now)
            if when <= now:
                self._note_request(now)
            else:
                assert self._may_be_held(now) or self._surely_left(now) <= 0, "a request waits for nothing"

    @rule(one=blenders, other=blenders, first=st.integers(1, BUDGET - 1), seconds=st.sampled_from([30.0, 45.0, 54.5]))
    def a_busy_minute(self, one: int, other: int, first: int, seconds: float) -> None:
        self.take_requests(one, 0.0, first)
        self.time_passes(seconds)
        self.take_requests(other, 0.0, BUDGET + 1)

    @rule(by=blenders, seconds=st.sampled_from([0.0, 3.0, 30.0, 300.0]), lag=lags)
    def hold(self, by: int, seconds: float, lag: float) -> None:
        now = self.clock - lag
        self.stores[by].throttle(now + seconds, now)
        self.model.holds.append((now, now + seconds))
        assert self.stores[by].next_request_at(now) >= now + seconds

    @rule(by=blenders)
    def release_all_claims(self, by: int) -> None:
        self.stores[by].release_all_claims()
        self.model.claims.clear()

    # Time.

    @rule(
        seconds=st.sampled_from([0.5, 3.0, 6.0, 10.0, 29.5, 45.0, 59.5, 60.0, 60.5, 89.5, 90.0, 101.0, 400.0, 7200.0])
    )
    def time_passes(self, seconds: float) -> None:
        self.clock += seconds

    @rule(seconds=st.sampled_from([0.5, 10.0, 10.5, 45.0, 100.0, 3600.0, 5 * 3600.0]))
    def the_clock_is_set_back(self, seconds: float) -> None:
        self.clock -= seconds
        self._forget_the_minute()

    @rule(seconds=st.sampled_from([3600.0, 9 * 3600.0]))
    def the_clock_is_set_forward(self, seconds: float) -> None:
        self.clock += seconds
        self._forget_the_minute()

    # Accidents.

    @rule(by=blenders)
    def close_and_reopen(self, by: int) -> None:
        self.stores[by].close()
        self._reopen(by)

    @rule(by=blenders)
    def dropped_without_closing(self, by: int) -> None:
        self._reopen(by)

    @precondition(lambda self: self.model.tasks)
    @rule(by=blenders, which=picks)
    def an_error_in_the_middle(self, by: int, which: int) -> None:
        def change(_task: Task) -> Task:
            raise KeyboardInterrupt

        claims = [claim for _, claim in self.taken if self._holds(claim)]
        claims = [claim for claim in claims if not self.model.tasks[claim.task.task_id].status.final]
        with pytest.raises(KeyboardInterrupt):
            if claims:
                self.stores[by].complete_check(claims[which % len(claims)], change)
            else:
                self.stores[by].change(self._task(which).task_id, change)

    @precondition(lambda self: self.model.tasks)
    @rule()
    def killed_in_the_middle(self) -> None:
        """Another process ends with its change half in the file, which the next one to look takes back."""
        words = [KILLED_WHILE_WRITING, str(self.path)]
        if sys.platform == "linux":
            process = Forked(words[0], words[1:], {**os.environ})
        else:
            process = subprocess.Popen([sys.executable, "-c", *words], cwd=ROOT)
        with process:
            assert process.wait(60) == 7

    @rule(by=blenders, which=picks, how=st.sampled_from(["row", "row", "table", "index"]), often=st.integers(0, 4))
    def damaged(self, by: int, which: int, how: str, often: int) -> None:
        """Seldom. What can be read of the list stays; who checks what, and the minute's requests, are forgotten."""
        if often:
            return
        lost = self._task(which).task_id if how == "row" and self.model.tasks else ""
        copied = self._copied()
        with closing(sqlite3.connect(self.path)) as db:
            if how == "row":
                db.execute("UPDATE task SET status = 'NO STATUS!' WHERE task_id = ?", (lost,))
            elif how == "table":
                db.execute("DROP TABLE hold")
            else:
                db.execute("PRAGMA writable_schema = ON")
                db.execute("UPDATE sqlite_schema SET rootpage = 2 WHERE name = 'sqlite_autoindex_task_2'")
            db.commit()
        self.stores[by].close()
        self._reopen(by)
        noticed = self.stores[by].set_aside
        assert bool(noticed) == bool(lost or how != "row"), how
        if not noticed:
            return
        assert noticed.exists() and self.stores[by].damage_text()
        noticed.unlink()
        self.model.tasks.pop(lost, None)
        self.model.final.pop(lost, None)
        if lost in copied:
            # As it was when the list was opened the last time.
            self._put(by, copied[lost])
        self.model.claims.clear()
        self._forget_the_minute()
        for other in range(BLENDERS):
            if other != by:
                assert self.stores[other].moved
                self.stores[other].close()
                self._reopen(other)
                assert not self.stores[other].set_aside

    def _copied(self) -> dict[str, Task]:
        """What the second copy of the list holds."""
        copy = second_copy.path_of(self.path)
        if not copy.exists():
            return {}
        with closing(sqlite3.connect(copy)) as db:
            found = [rows.task(row) for row in db.execute(f"SELECT {rows.SELECTED} FROM task")]
        return {task.task_id: task for task in found}

    # What always holds.

    @invariant()
    def no_copy_remembers_what_was_forgotten(self) -> None:
        assert self._copied().keys() <= self.model.tasks.keys()

    @invariant()
    def no_task_is_lost_the_newest_come_first_and_what_is_final_stays_so(self) -> None:
        expected = self.model.newest_first()
        # Each reads the list for itself.
        listed = [opened.tasks() for opened in self.stores]
        assert listed == [expected] * BLENDERS
        for task in listed[0]:
            assert self.model.final.get(task.task_id, task.status) is task.status
            if task.status.final:
                self.model.final[task.task_id] = task.status

    @invariant()
    def who_has_not_looked_is_told_of_changes(self) -> None:
        if self.count % 3 == 0:  # Not always: else nobody would ever have missed more than one.
            for by, opened in enumerate(self.stores):
                assert opened.changed_by_others() or by not in self.unseen
            self.unseen.clear()

    @invariant()
    def the_minutes_requests_are_not_exceeded(self) -> None:
        times = sorted(self.model.requests[self.model.since[0] :])
        # One who read his clock before he waited forgets a request as much too early.
        window = 60.0 - LOCK_TIMEOUT
        for first, later in zip(times, times[BUDGET:], strict=False):
            assert later - first >= window

    def _task(self, which: int) -> Task:
        return [*self.model.tasks.values()][which % len(self.model.tasks)]

    def _put(self, by: int, task: Task) -> None:
        if self.model.tasks.get(task.task_id) != task:
            self._changed_by(by)
        self.model.tasks[task.task_id] = task

    def _holds(self, claim: Claim) -> bool:
        held = self.model.claims.get(claim.task.task_id)
        return bool(held) and held.token == claim.token

    def _changed_by(self, by: int) -> None:
        self.unseen |= {*range(BLENDERS)} - {by}

    def _reopen(self, by: int) -> None:
        self.stores[by] = Store(self.path, PATIENCE)
        self.unseen.add(by)

    def _note_request(self, now: float) -> None:
        for began, until in self.model.holds[self.model.since[1] :]:
            assert not began - LOCK_TIMEOUT <= now < until, "the service had asked for a pause"
        self.model.requests.append(now)

    def _forget_the_minute(self) -> None:
        self.model.since = (len(self.model.requests), len(self.model.holds))

    def _may_be_held(self, now: float) -> bool:
        return any(began <= now + CLOCK_SLACK and now < until for began, until in self.model.holds)

    def _surely_left(self, now: float) -> int:
        """So many requests must be free, even where nothing was forgotten."""
        return BUDGET - sum(now - 60.0 < at <= now + CLOCK_SLACK for at in self.model.requests)


@pytest.mark.parametrize("lost", ["TABLE hold", "TABLE request"])
def test_a_list_without_one_of_its_tables_is_set_aside_with_all_its_tasks_kept(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "tasks.sqlite"
    with closing(Store(path)) as opened:
        task = opened.add(Task("id", "vase", Secret("key"), tracked_at=NOW, next_check_at=NOW))
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"DROP {lost}")
    with closing(Store(path)) as opened:
        assert opened.set_aside
        assert [claim.task for claim in opened.claim_due(NOW, 1)] == [task]
        opened.throttle(NOW + 1, NOW)


@pytest.mark.timeout(600)
def test_the_list_keeps_its_promises_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "REQUESTS_PER_MINUTE", BUDGET)
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            # How many examples is the profile's matter: Hypothesis' own 100, or those of `make fuzz`.
            stateful_step_count=50,
            report_multiple_bugs=False,
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            deadline=None,
            derandomize=bool(os.environ.get("CI")),
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
