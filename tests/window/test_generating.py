"""The form in a real window. See generating.py for what the user does."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tools.simulator import API_KEY, Simulator

PROMPT = "A glazed vase"


def pictures(folder: Path, count: int, side: int = 1024) -> list[str]:
    """Files of three bytes for each pixel, since they are not packed."""
    from PIL import Image

    made = []
    for number, where in zip(range(count), ("the front", "the left", "the back", "the right", "above"), strict=False):
        path = folder / f"vase from {where}.png"
        gray = Image.radial_gradient("L").resize((side, side)).point(lambda value, n=number: (value + 90 + 60 * n) % 256)
        gray.convert("RGB").save(path, compress_level=0)
        made.append(str(path))
    return made


def test_a_sentence_becomes_a_model_where_the_cursor_was(window, folder):
    with Simulator() as simulator:
        simulator.story = [[(0, "Waiting"), (1, "Generating"), (end, "Done")] for end in (5, 8, 20)]
        simulator.upload_rate = 1_000_000
        given = {"prompt": PROMPT, "pictures": pictures(folder, 2), "blend": str(folder / "scene.blend")}
        outcome = window.play(
            "form_and_model", given, RODIN_API_URL=simulator.url, RODIN_API_KEY=API_KEY, RODIN_IMPORT_WHEN_DONE="1"
        )
        facts = outcome.facts
        (sent,) = simulator.submissions
        assert (sent.prompt, len(sent.pictures)) == (PROMPT, 2)
    assert facts["field"] == PROMPT
    assert facts["pictures"] == given["pictures"]
    assert facts["stands"] == [2.5, 0.0, -1.0]
    draws = {key: number for key, number in facts.items() if key.startswith("draws")}
    assert not any(draws.values()), draws
    assert facts["offences"] == []
    assert "form.prompt" in facts["info"], "Blender notes that the field was edited"
    saved = Path(given["blend"]).read_bytes()
    assert saved.startswith(b"BLENDER")
    for secret in (API_KEY, *given["pictures"]):
        assert secret not in outcome.output + facts["info"]
        assert secret.encode() not in saved
    assert f'"{PROMPT}"' not in facts["info"]


def test_a_press_with_fifty_megabytes_takes_less_than_a_frame(window, folder, connected, simulator):
    given = {"presses": 9, "pictures": pictures(folder, 5, 1850)}
    assert all(Path(path).stat().st_size > 10e6 for path in given["pictures"])
    outcome = window.play("press_many_megabytes", given, **connected)
    facts = outcome.facts
    assert statistics.median(facts["presses"]) < 0.016, facts["presses"]
    assert facts["viewport_draws"] == [0] * given["presses"]
    assert facts["offences"] == []


@pytest.mark.parametrize("theme", ["", "Blender_Light.xml"], ids=["dark", "light"])
def test_the_viewport_becomes_pictures_of_the_form(window, folder, connected, simulator, theme):
    given = {"theme": theme, "textured": bool(theme), "suffix": "-light" if theme else ""}
    outcome = window.play("viewport_pictures", given, **connected)
    facts = outcome.facts
    assert facts["called"] == ["Viewport.png", "Suzanne.png", "Camera.png", "Viewport.png", "Viewport.png"]
    assert facts["sides"] == [f"Suzanne {side}.png" for side in ("Front", "Right", "Back", "Left")]
    assert "form has room for 0 more" in facts["refused"][0] and "room for 0 more" in facts["refused"][1]
    assert "No object is selected" in facts["refused"][2]
    assert statistics.median(facts["presses"]) < 1.5 * statistics.median(facts["plain"]) + 0.016
    assert facts["same"] and facts["overlays"], "the scene and the view are as they were"
    assert facts["offences"] == []
    (sent,) = simulator.submissions
    assert ("image_label", '["F", "R", "B", "L"]') in sent.fields
    for name in ("view", "selected", "camera"):
        _check_picture(outcome.folder / f"viewport-{name}{given['suffix']}.png")
    colors = [_check_picture(outcome.folder / f"side {side}{given['suffix']}.png") for side in ("Front", "Back")]
    assert colors[0] != colors[1], "another side looks different"


def test_the_selection_becomes_a_picture_in_local_view_too(window, connected):
    outcome = window.play("pictures_in_local_view", **connected)
    plain = _check_picture(outcome.folder / "whole scene-0.png")
    for name in ("local view-0", "local collections-0"):
        assert _check_picture(outcome.folder / f"{name}.png") == plain, name
    assert len({_check_picture(outcome.folder / f"four sides-{number}.png") for number in range(4)}) == 4
    assert outcome.facts["seen as before"] and outcome.facts["local"] == [False, True], "the view stays"
    assert outcome.facts["scenes"] == 1 and outcome.facts["offences"] == []


def _check_picture(path: Path) -> bytes:
    """That the object stands out from a plain ground that is all around it. Returns the pixels."""
    from PIL import Image

    picture = Image.open(path)
    assert picture.size == (1024, 1024) and picture.mode == "RGB"
    ground = picture.getpixel((0, 0))
    assert all(picture.getpixel(corner) == ground for corner in ((1023, 0), (0, 1023), (1023, 1023))), path.name
    brightness, gray = sum(ground) / 3, picture.convert("L")
    others = [value for value in gray.getdata() if abs(value - brightness) > 40]
    assert len(others) > 2000, f"{path.name}: {len(others)} pixels differ from the ground"
    return picture.tobytes()


@pytest.mark.parametrize("scale", [0.0, 1.4], ids=["usual", "narrow"])
def test_each_trouble_of_a_submission_is_told_in_plain_words(new_window, folder, connected, simulator, scale):
    simulator.fail("rodin", "refused-insufficient-fund", "taken-and-reset", "refused-parallelism-limit-reached")
    given = {
        "rejected": "A brass astrolabe with engraved rings, standing on a round foot of dark walnut, worn by use",
        "uncertain": PROMPT,
        "unsent": "A chair",
        "pictures": pictures(folder, 1),
        "scale": scale,
    }
    size = ("--window-geometry", "0", "0", "700", "900") if scale else ()
    outcome = new_window.play("submissions_in_trouble", given, *size, **connected)
    said = outcome.facts["messages"]
    assert "too few credits" in said["rejected"]
    assert "may have been charged" in said["uncertain"] and "went down from" in said["uncertain"]
    assert outcome.facts.get("tasks_after_enter", 2) == 2, "Enter chose Cancel"
    assert outcome.facts["offences"] == []
