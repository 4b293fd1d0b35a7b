# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be translated, and how far each language goes with it."""

from __future__ import annotations

import pytest

from tools import texts

LANGUAGES = texts.languages()


@pytest.mark.parametrize(
    "text",
    [
        "The model has {size:size}: Blender stands still while it imports that. Press Import when you can wait.",
        "The service took too long over its answer.",
        "It is being prepared.",
        "Ask about this task again",
        "Resume Rodin Task",
        "Import Settings for All Tasks",
        "What do you want to make?",
        "Press Check Now to ask once more.",
        "Its folder shows what there is.",
        "In Progress",
        "Where It Was Wished",
        "Shortest Interval",
        "At the 3D cursor",
        "Warning",
        "Use Transparency",
        "Extra Low",
        "Gen-2.5 Medium (0.5 credits)",
        "'{name}' is not being downloaded, so there is nothing to cancel.",
    ],
)
def test_each_kind_of_text_that_a_user_reads_is_found_in_the_source(text: str) -> None:
    assert text in texts.to_translate()


@pytest.mark.parametrize("text", ["rodin.pause", "TRASH", "have models generated, which costs credits", "", "{value}"])
def test_what_nobody_reads_in_the_window_is_not(text: str) -> None:
    assert text not in texts.to_translate()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_says_nothing_that_is_not_said_in_english(language: str) -> None:
    assert texts.surplus(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_fields_of_its_text(language: str) -> None:
    assert texts.unlike(language) == []
