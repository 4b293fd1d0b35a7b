"""Make This in a real window. See from_scene.py for what the user does."""

from __future__ import annotations

import statistics

import pytest

from tools.simulator import API_KEY, Simulator


def test_make_this_costs_the_window_nothing_until_the_model_comes(window):
    with Simulator(balance=100.0) as simulator:
        simulator.story = [[(0, "Generating"), (15, "Done")]]
        given = {"presses": 3, "objects": 4}
        more = {"RODIN_API_URL": simulator.url, "RODIN_API_KEY": API_KEY, "RODIN_REQUESTS_PER_MINUTE": "240"}
        outcome = window.play("make_this", given, **more)
        assert len(simulator.submissions) == 3 * 4 + 3
    facts = outcome.facts
    assert statistics.median(facts["presses"]) < 0.016, facts["presses"]
    assert facts["viewport_draws"] == [0] * given["presses"]
    assert facts["left_in_form"] == "", "what is on its way is not there for a second press"
    assert facts["draws_until_done"] == 0
    assert facts["sides"] == pytest.approx([1.0, 1.2, 2.0], rel=0.01)
    assert (facts["foot"], facts["hidden"]) == (pytest.approx(1.0, abs=0.02), True)
    assert facts["after_undo"] == [False, False], "one Ctrl+Z"
    assert facts["offences"] == []
