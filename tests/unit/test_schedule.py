# SPDX-License-Identifier: GPL-3.0-or-later
"""When the service is asked: pure functions over made-up clocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rodin_blender.service.answers import Job
from rodin_blender.service.keys import Secret
from rodin_blender.tasks import schedule
from rodin_blender.tasks.schedule import CLOCK_SLACK, JITTER, LONGEST_STEP, MAX_BACKOFF, Pace, is_due
from rodin_blender.tasks.task import Status, Task, Watch
from rodin_blender.texts.actions import Action
from rodin_blender.texts.text import Trouble

NOW = 1_800_000_000.0
NO_ANSWER = Trouble("no_answer", "No answer.")
NO_SUCH_TASK = Trouble("no_such_task", "No such task.")
HOUR = 3600.0
PACE = Pace()
NO_CHANCE = 0.5  # in the middle: no jitter
WAITING = (Job("a", "Waiting"),)
GENERATING = (Job("a", "Generating"),)
DONE = (Job("a", "Done"),)

PACES = st.builds(Pace, st.floats(0.1, 300), st.floats(0.1, 3600), st.floats(1, 1e6))
CHANCES = st.floats(0, 1)


def tracked(at: float = NOW) -> Task:
    return Task("id", "Task 1", Secret("key"), tracked_at=at, next_check_at=at + schedule.FIRST_CHECK)


def answered(task: Task, jobs: tuple[Job, ...] = WAITING, now: float | None = None, pace: Pace = PACE) -> Task:
    return schedule.after_answer(task, jobs, task.next_check_at if now is None else now, pace, NO_CHANCE)


def failed(task: Task, now: float | None = None, retry_after: float | None = None, pace: Pace = PACE) -> Task:
    now = task.next_check_at if now is None else now
    return schedule.after_failure(task, NO_ANSWER, now, pace, NO_CHANCE, retry_after)


def test_the_interval_grows_to_the_longest_and_begins_anew_when_jobs_change() -> None:
    task = answered(tracked())
    intervals = [task.interval]
    for _ in range(12):
        task = answered(task)
        intervals.append(task.interval)
    assert intervals[0] == PACE.shortest
    assert all(b == pytest.approx(min(a * schedule.GROWTH, PACE.longest)) for a, b in pairwise(intervals))
    assert intervals[-1] == PACE.longest
    assert answered(task, GENERATING).interval == PACE.shortest


PAST = [60.0, 65.0, 68.0, 70.0, 71.0, 73.0, 80.0]


def checks(past: list[float], until: float, pace: Pace = PACE) -> list[float]:
    """Seconds from tracking to each check of a task that goes on for so long."""
    task, at = tracked(), []
    while not at or at[-1] < until:
        now = task.next_check_at
        at.append(now - NOW)
        task = schedule.after_answer(task, GENERATING, now, pace, NO_CHANCE, past)
    return at


def test_it_asks_when_tasks_have_ended_and_seldom_before() -> None:
    at = checks(PAST, 80.0)
    assert len(at) < len(checks([], 80.0))
    early, late = [t for t in at if t < 55.0], [t for t in at if 60.0 <= t <= 80.0]
    assert len(early) <= 3
    assert len(late) >= 3
    assert min(b - a for a, b in pairwise(at)) >= PACE.shortest
    assert max(b - a for a, b in pairwise(at)) <= PACE.longest


def test_a_task_that_outlasts_all_is_asked_about_at_the_growing_pace() -> None:
    at = [t for t in checks(PAST, 400.0) if t > 80.0]
    gaps = [b - a for a, b in pairwise(at)]
    assert all(b == pytest.approx(min(a * schedule.GROWTH, PACE.longest)) for a, b in pairwise(gaps))
    assert gaps[-1] == PACE.longest


def test_a_few_ended_tasks_teach_nothing() -> None:
    assert checks(PAST[: schedule.MIN_SAMPLES - 1], 100.0) == checks([], 100.0)


def test_a_task_took_from_tracking_to_between_the_last_two_checks() -> None:
    task = answered(tracked(), GENERATING, NOW + 40.0)
    ended = answered(task, DONE, NOW + 50.0)
    assert ended.took == 45.0
    assert answered(replace(task, failures=1), DONE, NOW + 50.0).took == 0.0, "nobody knows when it ended"
    assert answered(task, DONE, NOW + 500.0).took == 0.0, "Blender was closed meanwhile"
    assert answered(task, DONE, NOW + 30.0).took == 0.0, "the clock was set back"
    assert answered(tracked(), DONE, NOW + 1.0).took == 0.0, "it had ended before it was tracked"
    assert answered(task, (Job("a", "Failed"),), NOW + 50.0).took == 0.0


@given(PACES, CHANCES, st.lists(st.floats(0.1, 1e5), max_size=150), st.floats(0, 1e5))
def test_whatever_was_learnt_the_interval_stays_within_the_users_bounds(
    pace: Pace, chance: float, past: list[float], so_far: float
) -> None:
    task = schedule.after_answer(tracked(), WAITING, NOW + so_far, pace, chance, past)
    assert pace.shortest <= task.interval <= max(pace.longest, pace.shortest)


def test_no_jobs_yet_leaves_status_and_jobs_alone_and_says_so() -> None:
    task = answered(answered(tracked(), GENERATING), ())
    assert (task.status, task.jobs) == (Status.GENERATING, GENERATING)
    assert task.message and task.followed


@given(PACES, CHANCES, st.lists(st.sampled_from([WAITING, GENERATING, (), None, 0.0, 7.0]), min_size=1, max_size=30))
def test_the_next_check_lies_ahead_within_the_jitter_and_whoever_is_stopped_is_not_due(
    pace: Pace, chance: float, answers: list[tuple[Job, ...] | float | None]
) -> None:
    task, now = tracked(), NOW
    for answer in answers:
        now = max(now, task.next_check_at)
        if isinstance(answer, tuple):
            task = schedule.after_answer(task, answer, now, pace, chance)
            least = task.interval
            most = task.interval
        else:
            task = schedule.after_failure(task, NO_ANSWER, now, pace, chance, answer)
            least = min(pace.shortest, MAX_BACKOFF)
            most = max(MAX_BACKOFF, answer or 0.0, pace.shortest)
        if not task.followed:
            assert task.watch is Watch.OVERDUE
            assert not is_due(task, now + 1e6)
            break
        wait = task.next_check_at - now
        assert wait > 0
        assert least * (1 - JITTER) - 1e-3 <= wait <= most * (1 + JITTER) + 1e-3
        assert not is_due(task, now)
        assert is_due(task, task.next_check_at)


def test_jitter_spreads_by_its_share_and_no_more() -> None:
    waits = [schedule.after_answer(tracked(), WAITING, NOW, PACE, c).next_check_at - NOW for c in (0.0, 0.5, 1.0)]
    assert waits == pytest.approx([PACE.shortest * (1 - JITTER), PACE.shortest, PACE.shortest * (1 + JITTER)])


def test_failures_back_off_to_the_cap_keep_the_status_and_tell_the_next_check() -> None:
    task = answered(tracked(), GENERATING)
    waits = []
    for _ in range(40):
        now = task.next_check_at
        task = replace(failed(task), watched=0.0)
        waits.append(task.next_check_at - now)
        assert task.status is Status.GENERATING and task.jobs == GENERATING
        assert task.trouble == NO_ANSWER
    assert waits[:3] == pytest.approx([10, 20, 40])
    assert waits[-1] == pytest.approx(MAX_BACKOFF)
    assert waits == sorted(waits)
    recovered = answered(task, GENERATING)
    assert (recovered.failures, recovered.trouble) == (0, None)
    assert recovered.next_check_at - task.next_check_at <= PACE.longest


@pytest.mark.parametrize("retry_after", [7.0, 120.0, 86400.0])
def test_retry_after_wins_over_backoff_and_jitter(retry_after: float) -> None:
    task = replace(answered(tracked()), failures=9)
    after = schedule.after_failure(task, "Slow down.", NOW + 60, PACE, 1.0, retry_after)
    assert after.next_check_at == NOW + 60 + retry_after
    assert not is_due(after, NOW + 60 + retry_after - 0.01)


def test_retry_after_at_once_is_not_taken_as_leave_to_hammer() -> None:
    assert failed(tracked(), NOW, retry_after=0.0).next_check_at >= NOW + PACE.shortest


@given(st.lists(st.floats(1.0, 10 * HOUR), min_size=1, max_size=60), st.floats(6, 2000))
def test_the_deadline_counts_only_watched_time(gaps: list[float], deadline: float) -> None:
    pace = Pace(5, 30, deadline)
    task, now, watched = answered(tracked(), now=NOW, pace=pace), NOW, 0.0
    for number, gap in enumerate(gaps):
        now += gap
        watched += min(gap, LONGEST_STEP)
        task = failed(task, now, pace=pace) if number % 3 == 2 else answered(task, now=now, pace=pace)
        assert task.watched == pytest.approx(watched)
        assert task.followed == (task.watched < deadline)
        if not task.followed:
            assert task.watch is Watch.OVERDUE and task.status is Status.WAITING
            assert task.trouble and task.trouble.code == "overdue" and Action.RESUME in task.trouble.actions
            assert not is_due(task, now + 1e9)
            break


def test_an_answer_that_ends_the_task_counts_though_the_deadline_has_passed() -> None:
    task = answered(replace(answered(tracked()), watched=PACE.deadline), DONE)
    assert task.status is Status.DONE and task.finished_at == task.checked_at and task.message == ""


@pytest.mark.parametrize("away", [0.0, 8 * HOUR])
def test_resume_begins_the_deadline_anew_whatever_time_went_by(away: float) -> None:
    pace = Pace(5, 30, deadline=LONGEST_STEP)
    overdue = replace(answered(tracked()), watched=99.0, watch=Watch.OVERDUE, failures=4, trouble=NO_ANSWER)
    now = overdue.checked_at + away
    task = schedule.resumed(overdue, now)
    assert task.followed and is_due(task, now) and (task.watched, task.trouble) == (0.0, None)
    task = answered(task, now=now + 1, pace=pace)
    assert task.followed, "the time before the resuming is nobody's asking"
    assert answered(task, now=now + 100, pace=pace).watch is Watch.OVERDUE


def test_check_now_of_a_followed_task_leaves_its_deadline_and_of_a_stopped_one_resumes_it() -> None:
    task = replace(answered(tracked()), watched=100.0)
    asked = schedule.due_now(task, NOW + 2)
    assert is_due(asked, NOW + 2) and asked.watched == 100.0
    for watch in (Watch.PAUSED, Watch.OVERDUE, Watch.REFUSED):
        asked = schedule.due_now(replace(task, watch=watch), NOW + 2)
        assert is_due(asked, NOW + 2) and asked.watched == 0.0


def test_paused_and_refused_tasks_are_never_due() -> None:
    task = answered(tracked(), GENERATING)
    for stopped in (schedule.paused(task), schedule.after_refusal(task, NO_SUCH_TASK, NOW + 9)):
        assert stopped.message and stopped.status is Status.GENERATING
        assert not any(is_due(stopped, NOW + offset) for offset in (-1e9, -HOUR, 0.0, HOUR, 1e9))


@given(st.sampled_from([s for s in Status if s.final]), st.sampled_from(Watch), st.floats(-1e9, 1e9))
def test_final_tasks_are_never_due_whatever_is_pressed(status: Status, watch: Watch, offset: float) -> None:
    task = replace(tracked(), status=status, watch=watch)
    presses: list[Callable[[Task], Task]] = [
        lambda t: t,
        schedule.paused,
        lambda t: schedule.due_now(t, NOW),
        lambda t: schedule.resumed(t, NOW),
    ]
    assert not any(is_due(press(task), NOW + offset) for press in presses)


@pytest.mark.parametrize("hours", [1, 5, 48])
@pytest.mark.parametrize("checked", [False, True])
def test_a_clock_set_back_puts_no_check_off_and_asks_no_more_often(hours: int, checked: bool) -> None:
    task = answered(tracked()) if checked else tracked()
    now = task.next_check_at - hours * HOUR
    assert is_due(task, now)
    watched = task.watched
    for _ in range(3):
        task = answered(task, now=now)
        assert not is_due(task, now)
        assert 0 < task.next_check_at - now <= PACE.longest
        now = task.next_check_at
    assert task.watched - watched <= 3 * PACE.longest, "the step back counts for nothing"
    assert task.watched > watched, "but the time since does"


def test_a_clock_set_forward_uses_up_one_step_of_the_deadline_at_most() -> None:
    task = answered(tracked())
    later = answered(task, now=NOW + 30 * 24 * HOUR)
    assert later.followed and later.watched - task.watched == LONGEST_STEP


JOBS = st.lists(st.sampled_from(["Waiting", "Generating", "Done", "Failed", "Polishing"]), max_size=3).map(
    lambda words: tuple(Job(str(number), word) for number, word in enumerate(words))
)
ENOUGH = 1e-3
"""Of a second: what floats lose at this time of the world."""
events = st.one_of(
    JOBS,
    st.builds(lambda retry: ("no answer", retry), st.none() | st.floats(0, 86400)),
    st.sampled_from(["refused", "pause", "resume", "check now"]),
    st.builds(lambda seconds: ("clock", seconds), st.floats(0, 40) | st.floats(-10 * HOUR, 10 * HOUR)),
)


@given(PACES, st.lists(st.tuples(events, CHANCES), max_size=60))
def test_whatever_happens_the_next_check_lies_within_the_bounds_and_what_is_over_stays_so(
    pace: Pace, happening: list[tuple[tuple[Job, ...] | str | tuple[str, float | None], float]]
) -> None:
    task, now, longest_wait, was_pressed = tracked(), NOW, schedule.FIRST_CHECK, False
    for event, chance in happening:
        before, asked = task, False
        match event:
            case ("clock", float(seconds)):
                now += seconds
            case "pause":
                task = schedule.paused(task)
            case "resume":
                task = schedule.resumed(task, now)
            case "check now":
                task = schedule.due_now(task, now)
            case _ if not task.followed:
                continue  # Nobody asks, so no answer comes.
            case "refused":
                task = schedule.after_refusal(task, NO_SUCH_TASK, now)
            case ("no answer", retry):
                asked, task = True, schedule.after_failure(task, NO_ANSWER, now, pace, chance, retry)
                longest = max(retry, pace.shortest) if retry is not None else MAX_BACKOFF * (1 + JITTER)
                least = longest if retry is not None else min(pace.shortest, MAX_BACKOFF) * (1 - JITTER)
            case _:
                asked, task = True, schedule.after_answer(task, event, now, pace, chance)
                longest, least = max(pace.longest, pace.shortest) * (1 + JITTER), pace.shortest * (1 - JITTER)
        if asked or event == "refused":
            assert 0 <= task.watched - before.watched <= LONGEST_STEP + ENOUGH
        else:
            assert task.watched in (before.watched, 0.0), "only asking uses up the deadline, only the user begins it anew"
        if asked:
            assert task.followed == (task.watched < pace.deadline and not task.status.final)
            longest_wait, was_pressed = longest, False
            if task.followed:
                assert least - ENOUGH <= task.next_check_at - now <= longest + ENOUGH
                assert not is_due(task, now)
        if event in ("resume", "check now") and not task.status.final:
            assert is_due(task, now)
            was_pressed = True
        if before.status.final:
            assert task.status is before.status and not task.followed and not is_due(task, now)
        # Also where the clock was set back. (After a press and before the check, set back, it is not due at once.)
        if task.followed and not is_due(task, now) and not was_pressed:
            assert 0 < task.next_check_at - now <= longest_wait + CLOCK_SLACK + ENOUGH
        if not task.followed:
            assert not is_due(task, now)


# What is learnt, by kind.


def ended(kind: str, took: float, finished_at: float) -> Task:
    options = {"tier": kind, "material": "PBR"} if kind else {}
    jobs = tuple(Job(str(number), "Done") for number in range(3))
    return Task("", "", Secret("k"), "", Status.DONE, jobs, finished_at=finished_at, took=took, options=options)


def test_durations_are_learnt_for_each_tier_and_material_or_number_of_jobs() -> None:
    past = [ended("Sketch", 20.0, n) for n in range(6)] + [ended("", 70.0, 10.0 + n) for n in range(5)]
    known = schedule.durations([*past, ended("Gen-2", 90.0, 99.0), ended("Gen-2", 0.0, 98.0)])
    sketch, tracked, gen_2 = (schedule.pace_kind(task) for task in (past[0], past[-1], ended("Gen-2", 1.0, 1.0)))
    assert (sketch, tracked) == ("Sketch PBR", "3 jobs")
    assert schedule.durations_of(sketch, known) == [20.0] * 6
    assert schedule.durations_of(tracked, known) == [70.0] * 5
    # Of too few, and of none, all together tell more.
    assert schedule.durations_of(gen_2, known) == schedule.durations_of("never seen", known) == [90.0, *[70.0] * 5, *[20.0] * 6]


def test_no_more_than_the_latest_are_learnt_from() -> None:
    known = schedule.durations(ended("Sketch", float(n + 1), float(n)) for n in range(schedule.MAX_SAMPLES + 5))
    assert known["Sketch PBR"] == known[""] == [float(n) for n in range(schedule.MAX_SAMPLES + 5, 5, -1)]
