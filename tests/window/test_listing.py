"""The list in a real window. See listing.py for what the user does."""

from __future__ import annotations

import shutil

import pytest
from test_generating import pictures


@pytest.mark.parametrize("scale", [0.0, 1.5], ids=["usual", "narrow"])
def test_a_list_tells_its_tasks_apart_at_a_glance(new_window, folder, connected, simulator, scale):
    done, saved = ["A glazed vase", "A brass goblet"], ["A brass goblet"]
    tasks = [simulator.add([[[0, "Done"]]], prompt=name) for name in done]
    tasks.append(simulator.add([[[0, "Failed"]]], prompt="fantasy sword with runes along the blade"))
    tasks.append(simulator.add("stuck", prompt="fantasy sword with a handle of walnut"))
    given = {
        "tasks": tasks,
        "done": done,
        "saved": saved,
        "prompts": ["A chair"],
        "pictures": pictures(folder, 1),
        "scale": scale,
        "suffix": "-narrow" if scale else "",
        "language": "de_DE",
    }
    size = ("--window-geometry", "0", "0", "700", "900") if scale else ()
    outcome = new_window.play("list_looks", given, *size, **connected)
    assert outcome.facts["offences"] == []
    assert outcome.facts["said"] == "1 von 2 Aufgaben"


def test_the_chosen_task_is_active_after_a_restart(new_window, connected, simulator):
    names = ["A glazed vase", "A brass goblet", "A chair"]
    given = {
        "tasks": [simulator.add([[[0, "Done"]]], prompt=name) for name in names],
        "done": names,
        "saved": [],
        "row": 1,
    }
    before = new_window.play("choose_before_restart", given, **connected)
    assert (before.facts["active"], before.facts["active_row"]) == ("A brass goblet", 0)
    after = before.folder.with_name("chosen_after_restart")
    after.mkdir()
    shutil.copy(before.folder / "tasks.sqlite", after)
    outcome = new_window.play("chosen_after_restart", given, **connected)
    assert (outcome.facts["active"], outcome.facts["active_row"]) == ("A brass goblet", 0)
    assert outcome.facts["offences"] == []


LINE = 60
"""Pixels from the sidebar's upper edge to below the line that tells troubles."""


def test_what_goes_wrong_moves_no_button(window, connected, simulator):
    from PIL import Image, ImageChops

    names = ["A glazed vase", "A brass goblet"]
    tasks = [simulator.add([[[0, "Done"]]], prompt=name) for name in names]
    given = {"tasks": tasks, "done": names, "saved": ["A brass goblet"]}
    outcome = window.play("trouble_moves_nothing", given, **connected)
    left, bottom, width, height, window_height = outcome.facts["sidebar"]
    top = window_height - bottom - height
    pictures_ = [Image.open(outcome.folder / f"{name}.png").convert("RGB") for name in ("untroubled", "troubled", "news")]
    lines = [picture.crop((left, top, left + width, top + LINE)) for picture in pictures_]
    below = [picture.crop((left, top + LINE, left + width, window_height - bottom)) for picture in pictures_]
    for line, rest in zip(lines[1:], below[1:], strict=True):
        assert ImageChops.difference(lines[0], line).getbbox(), "it is told"
        # The panel's last line counts the messages.
        _left, first, _right, last = ImageChops.difference(below[0], rest).getbbox() or (0, 0, 0, 0)
        assert last - first < 16
