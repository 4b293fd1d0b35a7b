# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender shows of the extension is in the language that its preferences name."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import pytest
from conftest import PACKAGE, Rodin, Service

OPERATORS = bpy.app.translations.contexts.operator_default


@pytest.fixture
def german(rodin: Rodin) -> Iterator[dict[str, str]]:
    """Blender in German; the translations by the English text."""
    if not bpy.app.build_options.international:
        pytest.skip("this Blender was built without languages")
    view = bpy.context.preferences.view
    before = view.language, view.use_translate_interface
    view.language, view.use_translate_interface = "de_DE", True
    yield rodin.module("texts.languages.de_DE").TEXTS
    view.language, view.use_translate_interface = before


def test_labels_tooltips_and_sentences_with_values_are_german(
    rodin: Rodin, service: Service, german: dict[str, str]
) -> None:
    translations, operator = bpy.app.translations, bpy.ops.rodin.pause.get_rna_type()
    panel = bpy.types.RODIN_PT_filter
    for shown, context in ((panel.bl_label, "*"), (operator.name, OPERATORS), (operator.description, "*")):
        assert translations.pgettext_iface(shown, context) == german[shown] != shown
    task_id = rodin.track(service.add("stuck", prompt="Filter and Sort"))
    template = "'{name}' is not being downloaded, so there is nothing to cancel."
    with pytest.raises(RuntimeError) as raised:
        bpy.ops.rodin.cancel_download(task_id=task_id)
    # The task's name is its user's, whatever it is in English.
    assert german[template].format(name="Filter and Sort") in str(raised.value)


def test_what_is_told_is_in_blenders_language_and_what_others_say_stays(rodin: Rodin, german: dict[str, str]) -> None:
    say, texts = rodin.module("blender.voice").say, rodin.module("texts.text")
    trouble = texts.Trouble("large", texts.Text("{freed:size} deleted.", freed=12_400_000), texts.Action.RESUME)
    assert say(trouble) == f"12.4 MB gelöscht. {german['Press Resume to go on.']}"
    assert say("Press Resume to go on.") == "Press Resume to go on."
    bpy.context.preferences.view.use_translate_interface = False
    assert say(trouble) == "12.4 MB deleted. Press Resume to go on."


def test_every_language_is_gone_with_the_extension(rodin: Rodin, german: dict[str, str]) -> None:
    rodin.disable()
    assert bpy.app.translations.pgettext_iface("Filter and Sort") == "Filter and Sort"
    bpy.app.translations.register(PACKAGE, {})  # Raises where there is one of that name.
    bpy.app.translations.unregister(PACKAGE)
    rodin.enable()
    assert bpy.app.translations.pgettext_iface("Filter and Sort") == german["Filter and Sort"]
