# SPDX-License-Identifier: GPL-3.0-or-later
"""When to ask. Pure functions over times in seconds; chance comes in as a number, so that a test can pin it.

The vendor asks clients to ask seldom and names its own pace: 5 s at first, growing to 30 s, for 20 minutes. So it is
here, too, until enough of this user's tasks have ended. From then on a check is put where, by how long those took, the
delay to be expected until Done is noticed reaches `EXPECTED_DELAY`: seldom while few tasks end, often while many do. A
task that outlasts them all is asked about at the growing pace. `make bench` shows what that brings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..service.answers import Job
from ..service.keys import Generation
from ..texts.actions import Action
from ..texts.text import Text, Trouble
from .task import Task, Watch, new_task_id, status_of

FIRST_CHECK = 0.1
"""Seconds after tracking or resuming: the user waits to learn whether the key is right, and sees it at once."""
GROWTH = 1.25
EXPECTED_DELAY = 0.25
"""Seconds, at the next check; a task meets several checks around the time when it may end."""
MIN_SAMPLES = 5
MAX_SAMPLES = 100
"""How many ended tasks of a kind the pace is learnt from, at least and at most; the latest ones count."""
JITTER = 0.1
"""Checks are spread by up to this share of the interval, so that tasks begun together do not stay together."""
MAX_BACKOFF = 300.0
REQUESTS_PER_MINUTE = 60
"""For all tasks and all Blenders of this user; a business plan's published limit is 120."""
CLOCK_SLACK = 10.0
"""A time that lies this much ahead is no sign of a clock that was set back: another Blender read its clock while we
waited for the store, or runs on another computer."""
NO_JOBS = Trouble("no_jobs", "The service lists no jobs yet.")
LONGEST_STEP = 60.0
"""The most that one check adds to a task's watched time: a closed laptop does not use up the deadline."""


@dataclass(frozen=True)
class Pace:
    """What the user may set, in seconds."""

    shortest: float = 5.0
    longest: float = 30.0
    deadline: float = 20 * 60.0


def pace_kind(task: Task) -> str:
    """What tasks of about the same duration share: kind, tier and material, or of tracked ones the number of jobs."""
    options = task.options
    what = f"{options.get('tier')} {options.get('material')}" if options else f"{len(task.jobs)} jobs"
    return f"{task.kind} {what}".lstrip()


def durations(tasks: Iterable[Task]) -> dict[str, list[float]]:
    """How long the last ended tasks took, by kind, and of all kinds together under "". The latest come first."""
    found: dict[str, list[float]] = {"": []}
    for task in sorted((task for task in tasks if task.took), key=lambda task: task.finished_at, reverse=True):
        for kind in ("", pace_kind(task)):
            of_kind = found.setdefault(kind, [])
            if len(of_kind) < MAX_SAMPLES:
                of_kind.append(task.took)
    return found


def durations_of(kind: str, known: Mapping[str, list[float]]) -> list[float]:
    """What is known of a kind, else of all kinds together as long as too few of it have ended."""
    of_kind = known.get(kind, [])
    return of_kind if len(of_kind) >= MIN_SAMPLES else known.get("", [])


def new_task(generation: Generation, now: float, task_id: str = "") -> Task:
    """A new task, to be followed from now on, with an id of its own unless given."""
    return Task(
        task_id or new_task_id(),
        generation.name,
        generation.subscription_key,
        generation.task_uuid,
        tracked_at=now,
        next_check_at=now + FIRST_CHECK,
    )


def is_due(task: Task, now: float) -> bool:
    """Whether to ask now. A clock that was set back does not put the next check off by as much.

    The store has the same rule in SQL, for long lists.
    """
    return task.followed and (now >= task.next_check_at or now < (task.checked_at or task.tracked_at) - CLOCK_SLACK)


def after_answer(
    task: Task, jobs: tuple[Job, ...], now: float, pace: Pace, chance: float, durations: Sequence[float] = ()
) -> Task:
    """The task after the service told its jobs. An empty `jobs` leaves the status alone.

    `chance` is from 0 to 1, `durations` how long this user's ended tasks took, see `Task.took`.
    """
    before = task
    task = replace(_checked(task, now), failures=0)
    if not jobs:
        task = replace(task, trouble=NO_JOBS)
        return _at_next_interval(task, now, pace, chance, durations, changed=False)
    status = status_of(jobs)
    task = replace(task, status=status, jobs=jobs, trouble=None)
    if status.final:
        took = _duration(before, now) if status.has_files else 0.0
        return replace(task, finished_at=now, next_check_at=0.0, took=took)
    return _at_next_interval(task, now, pace, chance, durations, changed=jobs != before.jobs)


def after_failure(
    task: Task, trouble: Trouble, now: float, pace: Pace, chance: float, retry_after: float | None
) -> Task:
    """The task after a check that brought no answer: status as it was, asked again later.

    The server's Retry-After wins, except 0: that would use up the minute's requests of all tasks.
    """
    task = _checked(task, now)
    failures = task.failures + 1
    if retry_after is None:
        wait = min(pace.shortest * 2.0 ** min(failures, 16), MAX_BACKOFF) * (1.0 + JITTER * (2.0 * chance - 1.0))
    else:
        wait = max(retry_after, pace.shortest)
    return _with_deadline(replace(task, failures=failures, trouble=trouble, next_check_at=now + wait), pace)


def after_refusal(task: Task, trouble: Trouble, now: float) -> Task:
    """The task after the service said that it does not know it: it is not polled again until the user resumes it."""
    return replace(_checked(task, now), watch=Watch.REFUSED, trouble=trouble, next_check_at=0.0)


def resumed(task: Task, now: float) -> Task:
    """The task followed again, its deadline begun anew; as it is where there is nothing to follow it by yet."""
    if not task.status.submitted:
        return task
    return replace(
        task,
        watch=Watch.FOLLOWING,
        trouble=None,
        watched=0.0,
        interval=0.0,
        failures=0,
        checked_at=min(task.checked_at, now),
        next_check_at=now,
    )


def due_now(task: Task, now: float) -> Task:
    """The task with its next check brought forward to now, its deadline as it was."""
    return replace(task, next_check_at=now) if task.followed else resumed(task, now)


def paused(task: Task) -> Task:
    """The task left alone by us. The service has no cancel call, so it goes on there."""
    trouble = Trouble("paused", "Paused: it is not checked. The service goes on with it.", Action.RESUME)
    return replace(task, watch=Watch.PAUSED, trouble=trouble, next_check_at=0.0)


def _checked(task: Task, now: float) -> Task:
    # The first check since the task was tracked or resumed adds nothing: nobody asked before it.
    step = now - task.checked_at if task.interval or task.failures else 0.0
    return replace(task, checked_at=now, watched=task.watched + min(max(step, 0.0), LONGEST_STEP))


def _duration(task: Task, now: float) -> float:
    """How long a task took that has now ended: it was still going on at the check before, and that was not long ago."""
    seen_going_on = bool(task.jobs) and not task.failures
    if seen_going_on and task.tracked_at <= task.checked_at <= now <= task.checked_at + LONGEST_STEP:
        return (task.checked_at + now) / 2 - task.tracked_at
    return 0.0


def _at_next_interval(
    task: Task, now: float, pace: Pace, chance: float, durations: Sequence[float], changed: bool
) -> Task:
    longest = max(pace.longest, pace.shortest)
    so_far = now - task.tracked_at
    longer = [took for took in durations if took > so_far] if len(durations) >= MIN_SAMPLES else []
    if longer:
        interval = pace.shortest
        while interval < longest and _expected_delay(longer, so_far + interval) < EXPECTED_DELAY:
            interval = min(interval + 1.0, longest)
    else:
        grown = pace.shortest if changed or not task.interval else task.interval * GROWTH
        interval = min(max(grown, pace.shortest), longest)
    wait = interval * (1.0 + JITTER * (2.0 * chance - 1.0))
    return _with_deadline(replace(task, interval=interval, next_check_at=now + wait), pace)


def _expected_delay(durations: Sequence[float], check: float) -> float:
    return sum(max(check - took, 0.0) for took in durations) / len(durations)


def _with_deadline(task: Task, pace: Pace) -> Task:
    if task.watched < pace.deadline:
        return task
    text = "Not finished after {watched:duration} of checking, so it is not checked any more."
    trouble = Trouble("overdue", Text(text, watched=task.watched), Action.RESUME, Action.SET_DEADLINE)
    return replace(task, watch=Watch.OVERDUE, trouble=trouble, next_check_at=0.0)
