# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender shows of the extension is in the language that its preferences name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

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


def test_what_is_kept_follows_the_language_when_it_changes(
    rodin: Rodin, service: Service, german: dict[str, str]
) -> None:
    say, text = rodin.module("blender.voice").say, rodin.module("texts.text").Text
    task_id = rodin.track(service.add("stuck", prompt="A vase"))
    rodin.session.files.tell(task_id, text("It ends too early."), trouble=True)
    refused = {"error": "API_INSUFFICIENT_FUND", "message": "The fund in your wallet is insufficient."}
    bpy.ops.rodin.track(subscription_key="\n".join(map(json.dumps, [service.add("stuck"), refused])))
    trouble = rodin.session.files.troubles[task_id]
    assert say(trouble) == german["It ends too early."] and "Nummer 2: Das ist" in rodin.session.news.notice
    bpy.context.preferences.view.use_translate_interface = False
    assert say(trouble) == "It ends too early."
    assert "Number 2: This is an error answer" in rodin.session.news.notice


def test_why_an_import_failed_is_english_for_a_shell(
    rodin: Rodin, german: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class STUDIO_OT_surprised(bpy.types.Operator):
        bl_idname = "studio.surprised"
        bl_label = "Surprised"
        filepath: bpy.props.StringProperty()

        def execute(self, context):
            raise KeyError("materials")

    importers, errors = rodin.module("blender.importing.importers"), rodin.module("service.errors")
    monkeypatch.setitem(importers._IMPORTERS, ".obj", ("studio.surprised",))
    (tmp_path / "vase.obj").write_text("v 0 0 0\n")
    bpy.utils.register_class(STUDIO_OT_surprised)
    try:
        with pytest.raises(errors.BadInput) as raised:
            importers.run(str(tmp_path / "vase.obj"))
    finally:
        bpy.utils.unregister_class(STUDIO_OT_surprised)
    why = "Something that belongs into it is missing."
    assert f"Blender says: {why} Try another model" in str(raised.value)
    assert f"Blender sagt: {german[why]} " in rodin.module("blender.voice").say(raised.value.trouble)


def test_every_language_is_gone_with_the_extension(rodin: Rodin, german: dict[str, str]) -> None:
    rodin.disable()
    assert bpy.app.translations.pgettext_iface("Filter and Sort") == "Filter and Sort"
    bpy.app.translations.register(PACKAGE, {})  # Raises where there is one of that name.
    bpy.app.translations.unregister(PACKAGE)
    rodin.enable()
    assert bpy.app.translations.pgettext_iface("Filter and Sort") == german["Filter and Sort"]
