"""Imports in a real window. See importing.py for what the user does."""

from __future__ import annotations


def test_an_import_amid_work(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A vase")
    facts = window.play("import_amid_work", {"vase": vase}, **connected).facts
    assert facts["endless"] == "None" and facts["own"] == "the operation under way has ended"
    assert facts["by itself"] == [False] and facts["by itself active"] == "Cube"
    assert facts["pressed"] == [True] and facts["pressed active"] == "A vase"
    assert facts["view stays"]
    assert facts["offences"] == []


def test_a_question_before_a_large_model(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A vase")
    facts = window.play("question_before_a_large_model", {"vase": vase}, **connected).facts
    assert facts["imported before"] == ["Collection"]
    assert facts["offences"] == []


def test_a_model_goes_to_the_library_while_the_window_goes_on(window, simulator, connected):
    vase = simulator.add([[[0, "Done"]]], prompt="A vase")
    facts = window.play("to_the_library", {"vase": vase}, **connected).facts
    assert facts["under way"] and facts["trouble"] == {}
    assert facts["files"] == ["A vase.blend"] and facts["libraries"][-1] == "Rodin"
    assert facts["drawn"] == 0
    assert facts["offences"] == []
