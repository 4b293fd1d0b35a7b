# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pace of asking brings, in simulated time: the promises of docs/benchmarks.md, with fewer tasks."""

from __future__ import annotations

from functools import cache

import pytest

from tools.bench import pace

FEW = 400


def few(checks: pace.Checks, durations: pace.Durations, learnt_from: pace.Durations | None = None) -> pace.Figures:
    return pace.measure(checks, durations, learnt_from, tasks=FEW)


@cache
def nothing_learnt(name: str) -> pace.Figures:
    return few(pace.ours(learning=False), pace.DISTRIBUTIONS[name])


@cache
def misled(name: str) -> pace.Figures:
    before, now = pace.MISLED[name]
    return few(pace.ours(), now, before)


@pytest.mark.parametrize("durations", [pace.REGULAR, pace.GEN_2])
def test_half_the_requests_of_fixed_5_s_bring_nearly_its_delay(durations: pace.Durations) -> None:
    fixed, ours = few(pace.fixed(5.0), durations), few(pace.ours(), durations)
    assert ours.requests <= 0.5 * fixed.requests
    assert ours.delay <= 1.25 * fixed.delay


@pytest.mark.parametrize("growth", [1.3, 1.5, 2.0])
@pytest.mark.parametrize("name", pace.DISTRIBUTIONS)
def test_nothing_learnt_is_not_worse_than_the_vendors_pace_on_both_counts(name: str, growth: float) -> None:
    theirs = few(pace.growing(growth), pace.DISTRIBUTIONS[name])
    assert not pace.better_on_both_counts(theirs, nothing_learnt(name))


@pytest.mark.parametrize("growth", [1.3, 1.5, 2.0])
@pytest.mark.parametrize("name", pace.MISLED)
def test_a_misleading_past_is_not_worse_than_the_vendors_pace_on_both_counts(name: str, growth: float) -> None:
    before, now = pace.MISLED[name]
    assert not pace.better_on_both_counts(few(pace.growing(growth), now, before), misled(name))


def test_where_tiers_are_known_half_the_requests_know_as_soon_as_asking_every_5_s() -> None:
    """The aim, met with a Shortest Interval of 3 s; where the tier is not known three quarters of them are needed."""
    fixed = pace.measure(pace.fixed(5.0), pace.mixed_tiers)
    known, unknown = (
        pace.requests_at(pace.curve(durations, 3.0), fixed.delay) / fixed.requests
        for durations in (pace.mixed_tiers, pace.mixed)
    )
    assert known <= 0.5 < unknown
