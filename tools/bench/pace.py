# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon Done is noticed, and at how many requests, in simulated time: our pace beside others.

    python -m tools.bench pace

Ours is not a copy of the rules but `rodin_blender.tasks.schedule` itself, driven by a made-up clock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np

from rodin_blender.service.answers import Job
from rodin_blender.service.keys import Secret
from rodin_blender.tasks import schedule
from rodin_blender.tasks.schedule import Pace
from rodin_blender.tasks.task import Task
from tools.bench import page
from tools.page import table

TASKS = 2000
"""How many a figure in the tables is the mean of."""
TASKS_ON_CURVE = 400
"""The same for a point of a curve."""
AIMS = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Values of `schedule.EXPECTED_DELAY`, for the points of ours."""
SPREAD = 0.15
"""Standard deviation of a tier's duration, of its logarithm."""
SEED = 20

Chance = random.Random
Durations = Callable[[Chance], float]
Kinds = Callable[[Chance], tuple[str, float]]
"""The kind of a task, which the extension knows where it began the task, and its duration."""
Checks = Callable[[Chance, Sequence[float]], Iterator[float]]
"""The times at which a task is asked about, from when it was tracked on, given how long earlier ones took."""


def tier(median: float) -> Durations:
    return lambda chance: median * math.exp(chance.gauss(0.0, SPREAD))


SKETCH, REGULAR, GEN_2 = tier(20.0), tier(70.0), tier(90.0)


def mixed(chance: Chance) -> float:
    return chance.choice((SKETCH, REGULAR, GEN_2))(chance)


def with_tail(chance: Chance) -> float:
    return chance.uniform(300.0, 600.0) if chance.random() < 0.1 else mixed(chance)


def queued(chance: Chance) -> float:
    return chance.expovariate(1 / 40.0) + REGULAR(chance)


TIERS = {"Sketch": SKETCH, "Regular": REGULAR, "Gen-2": GEN_2}


def mixed_tiers(chance: Chance) -> tuple[str, float]:
    name = chance.choice([*TIERS])
    return name, TIERS[name](chance)


DISTRIBUTIONS: dict[str, Durations | Kinds] = {
    "Sketch, 20 s": SKETCH,
    "Regular, 70 s": REGULAR,
    "Gen-2, 90 s": GEN_2,
    "a third of each, begun here": mixed_tiers,
    "a third of each, tracked": mixed,
    "the same, one in ten 5 to 10 min": with_tail,
    "Regular behind a queue of 40 s": queued,
}
MISLED = {
    "learnt Sketch, now Gen-2": (SKETCH, GEN_2),
    "learnt Gen-2, now Sketch": (GEN_2, SKETCH),
    "learnt a third of each, now with 5 to 10 min": (mixed, with_tail),
}


def fixed(interval: float) -> Checks:
    def checks(_chance: Chance, _past: Sequence[float]) -> Iterator[float]:
        at = 0.0
        while True:
            at += interval
            yield at

    return checks


def growing(growth: float) -> Checks:
    """The vendor's pace: from 5 to 30 s. By how much it grows at a time is not published."""

    def checks(_chance: Chance, _past: Sequence[float]) -> Iterator[float]:
        at = interval = 5.0
        while True:
            yield at
            interval = min(interval * growth, 30.0)
            at += interval

    return checks


def ours(shortest: float = Pace.shortest, learning: bool = True) -> Checks:
    pace = Pace(shortest=shortest, deadline=math.inf)
    going_on = (Job("", "Generating"),)

    def checks(chance: Chance, past: Sequence[float]) -> Iterator[float]:
        task = Task("", "", Secret(""), next_check_at=schedule.FIRST_CHECK)
        while True:
            now = task.next_check_at
            yield now
            known = past if learning else ()
            task = replace(schedule.after_answer(task, going_on, now, pace, chance.random(), known), jobs=going_on)

    return checks


Curve = list[tuple[float, float]]
"""Requests for a task and mean delay, for several values of something."""


@dataclass(frozen=True)
class Figures:
    requests: float
    """A task, the one that finds it Done with them."""
    delay: float
    """Mean seconds from Done until it was noticed."""

    def __str__(self) -> str:
        return f"{self.requests:.1f} · {self.delay:.1f} s"


def measure(
    checks: Checks, durations: Durations | Kinds, learnt_from: Durations | None = None, tasks: int = TASKS
) -> Figures:
    """Follow tasks one after the other, each learning from those before; or all from those of `learnt_from`."""
    chance = random.Random(SEED)
    known: dict[str, list[float]] = {}
    requests, delays = [], []
    for number in range(tasks + schedule.MAX_SAMPLES):
        learning = number < schedule.MAX_SAMPLES
        drawn = (learnt_from if learnt_from and learning else durations)(chance)
        kind, duration = drawn if isinstance(drawn, tuple) else ("", drawn)
        before, count = 0.0, 0
        for at in checks(chance, schedule.durations_of(kind, known)):
            count += 1
            if at >= duration:
                break
            before = at
        if not learning:
            requests.append(count)
            delays.append(at - duration)
        if before and (learning or not learnt_from):
            for of in {kind, ""}:
                known[of] = [*known.get(of, []), (before + at) / 2][-schedule.MAX_SAMPLES :]
    return Figures(float(np.mean(requests)), float(np.mean(delays)))


def requests_at(curve_: Curve, delay: float) -> float:
    """Read off a curve; infinite where it does not come down to that delay."""
    requests, delays = zip(*sorted(curve_, key=lambda point: point[1]), strict=True)
    return float(np.interp(delay, delays, requests, left=math.inf))


def curve(durations: Durations | Kinds, shortest: float) -> Curve:
    """Ours, with other values of EXPECTED_DELAY."""
    points = []
    for delay in AIMS:
        with mock.patch.object(schedule, "EXPECTED_DELAY", delay):
            figures = measure(ours(shortest), durations, tasks=TASKS_ON_CURVE)
        points.append((figures.requests, figures.delay))
    return points


Found = dict[str, dict[str, Figures]]
"""By pace and distribution."""
OTHERS: dict[str, Checks] = {
    "fixed 5 s": fixed(5.0),
    "fixed 10 s": fixed(10.0),
    "vendor, 5 to 30 s, by 1.3": growing(1.3),
    "vendor, by 1.5": growing(1.5),
    "vendor, by 2": growing(2.0),
}
OURS: dict[str, Checks] = {
    "ours, nothing learnt": ours(learning=False),
    "ours": ours(),
}


TEXT = """{promises}

Requests for a task · mean delay until Done is noticed, over {tasks} simulated tasks for each figure. A tier's durations
spread by {spread:.0%} (log-normal). *Ours* is the extension's own schedule, with its first check after {first:g} s,
which tells whether the key is right.

{found}

The aim is at most half the requests of fixed 5 s at its delay. With 5 s between two checks, our default, no pace can
have less delay than fixed 5 s; the first two columns say how near ours comes. With a Shortest Interval of 3 s one can,
and the third says at how many requests. The tier of a task is known where the extension began it; of one that is
tracked by its key no answer of the service tells it.

{verdict}

**How ours works.** Of the last {schedule.MAX_SAMPLES} tasks of a kind (tier and material, or of tracked ones the number
of jobs) that it saw end it knows how long they took; of all kinds together until it knows {schedule.MIN_SAMPLES} of
one. It puts the next check where, by these, the delay to be expected reaches {schedule.EXPECTED_DELAY} s, never sooner
than the Shortest Interval and never later than the Longest Interval: it asks seldom while few tasks end, and often
while many do. With fewer than {schedule.MIN_SAMPLES} ended tasks, or when a task outlasts them all, it asks as the
vendor does: after 5 s, each time {schedule.GROWTH} times as long, up to 30 s.

It is never worse than the vendor's pace on both counts, requests and delay, nor where the past misleads: a test holds
it (`tests/unit/test_pace.py`).
"""


def section() -> str:
    found = {
        pace: {name: measure(checks, durations) for name, durations in DISTRIBUTIONS.items()}
        for pace, checks in (OTHERS | OURS).items()
    }
    curves = {name: curve(durations, 3.0) for name, durations in DISTRIBUTIONS.items()}
    return TEXT.format(
        promises=_promises(found, curves),
        tasks=TASKS,
        spread=SPREAD,
        first=schedule.FIRST_CHECK,
        found=_table(found),
        verdict=_verdict(found, curves),
        schedule=schedule,
    )


def _table(found: Found) -> str:
    names = list(next(iter(found.values())))
    return table(("pace", *names), [[pace, *(figures[name] for name in names)] for pace, figures in found.items()])


def _promises(found: Found, curves: dict[str, Curve]) -> str:
    promises = []
    for name in curves:
        share = _at_the_same_delay(found, curves, name)
        what = f"Knows as soon as by asking every 5 s, with half its requests: {name}"
        promises.append(page.Promise(what, "at most 0.5 ×", _ratio(share), share <= 0.5))
    return page.promised(*promises)


def _at_the_same_delay(found: Found, curves: dict[str, Curve], name: str) -> float:
    """Ours, with a Shortest Interval of 3 s: requests over those of fixed 5 s at its delay."""
    base = found["fixed 5 s"][name]
    return requests_at(curves[name], base.delay) / base.requests


def _verdict(found: Found, curves: dict[str, Curve]) -> str:
    header = (
        "durations", "ours, requests over those of fixed 5 s", "ours, delay over that of fixed 5 s",
        "from 3 s, at the same delay: requests",
    )  # fmt: skip
    lines = []
    for name in curves:
        base, figures = found["fixed 5 s"][name], found["ours"][name]
        shares = (f"{figures.requests / base.requests:.2f}", f"{figures.delay / base.delay:.2f}")
        lines.append((name, *shares, _ratio(_at_the_same_delay(found, curves, name))))
    return table(header, lines)


def _ratio(value: float) -> str:
    return f"{value:.2f} ×" if math.isfinite(value) else "not reached"


def better_on_both_counts(theirs: Figures, ours_: Figures) -> bool:
    return theirs.requests < ours_.requests and theirs.delay < ours_.delay
