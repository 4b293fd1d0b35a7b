"""A first-time artist in a real window. See first_time.py for what they do."""

from __future__ import annotations

from tools.simulator import API_KEY, Simulator


def test_a_first_time_artist_comes_from_the_zip_to_a_model_by_ten_presses(new_window):
    with Simulator() as simulator:
        simulator.story = [[(0, "Waiting"), (1, "Generating"), (2, "Done")]]
        given = {"url": simulator.url, "api_key": API_KEY, "prompt": "A vase on the table"}
        outcome = new_window.play("first_time_artist", given, RODIN_API_URL="https://rodin.invalid/api/v2")
        (sent,) = simulator.submissions
    facts = outcome.facts
    assert sent.prompt == given["prompt"]
    assert "not accept" in facts["refused"] and not facts["kept_after_refusal"]
    assert "is accepted" in facts["accepted"] and "12.5" in facts["accepted"]
    assert facts["presses"] == 10
    assert facts["offences"] == [] and facts["threads"] == []
    assert outcome.exit_code == 0
    assert API_KEY not in outcome.output and "a-mistyped-key" not in outcome.output


def test_rodin_is_found_from_blenders_menus(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A glazed vase")
    outcome = window.play("from_blenders_menus", {"vase": vase}, **connected)
    assert outcome.facts["begin_by"] == "FOLLOW"
    assert outcome.facts["offences"] == []
