# SPDX-License-Identifier: GPL-3.0-or-later
"""What the window says is in Blender's language, where somebody has translated it."""

from __future__ import annotations

import bpy
import pytest
from conftest import Rodin

GERMAN = {
    "The model has {size:size}.": "Das Modell hat {size:size}.",
    "Press Resume to go on.": "Weiter mit Fortsetzen.",
}


def test_it_is_said_in_blenders_language_and_in_english_again_without_a_translation(rodin: Rodin) -> None:
    voice, texts = rodin.module("blender.voice"), rodin.module("texts.text")
    trouble = texts.Trouble("large", texts.Text("The model has {size:size}.", size=12_400_000), texts.Action.RESUME)
    english = "The model has 12.4 MB. Press Resume to go on."
    assert voice.say(trouble) == english
    translations, view = bpy.app.translations, bpy.context.preferences.view
    if not translations.locales:
        pytest.skip("this Blender has no languages")
    translations.register("test_voice", {"de_DE": {("*", text): said for text, said in GERMAN.items()}})
    before = view.language, view.use_translate_interface
    try:
        view.language, view.use_translate_interface = "de_DE", True
        assert voice.say(trouble) == "Das Modell hat 12.4 MB. Weiter mit Fortsetzen."
        assert voice.say("The model has {size:size}.") == "The model has {size:size}.", "what others say stays"
    finally:
        view.language, view.use_translate_interface = before
        translations.unregister("test_voice")
    assert voice.say(trouble) == english
