"""The form in a real window. See generating.py for what the user does."""

from __future__ import annotations

from pathlib import Path

from tools.simulator import API_KEY, Simulator

PROMPT = "A glazed vase"


def pictures(folder: Path, count: int, side: int = 1024, noise: bool = False) -> list[str]:
    from PIL import Image

    made = []
    for number in range(count):
        path = folder / f"vase from {'the left' if number else 'the front'}{number or ''}.png"
        if noise:
            Image.effect_noise((side, side), 80.0).save(path, compress_level=0)
        else:
            shade = 90 + 60 * number
            Image.radial_gradient("L").resize((side, side)).point(lambda v, s=shade: (v + s) % 256).save(path)
        made.append(str(path))
    return made


def test_a_sentence_becomes_a_model_where_the_cursor_was(window, folder):
    with Simulator() as simulator:
        simulator.story = [[(0, "Waiting"), (1, "Generating"), (end, "Done")] for end in (3, 4, 6)]
        simulator.upload_rate = 40_000
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
    assert facts["viewport_draws"] == 0
    assert facts["offences"] == []
    assert "form.prompt" in facts["info"], "Blender notes that the field was edited"
    saved = Path(given["blend"]).read_bytes()
    assert saved.startswith(b"BLENDER")
    for secret in (API_KEY, *given["pictures"]):
        assert secret not in outcome.output + facts["info"]
        assert secret.encode() not in saved
    assert f'"{PROMPT}"' not in facts["info"]
