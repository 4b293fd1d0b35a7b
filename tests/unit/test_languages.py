# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be translated, and how far each language goes with it."""

from __future__ import annotations

import ast
import re

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
def test_a_language_lacks_nothing(language: str) -> None:
    """`python3 -m tools.texts LANGUAGE` prints what it lacks as lines to fill in."""
    assert [*texts.lacks(language)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_says_nothing_that_is_not_said_in_english(language: str) -> None:
    assert texts.surplus(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_fields_of_its_text(language: str) -> None:
    assert texts.unlike(language) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_names_rodin_where_its_text_does(language: str) -> None:
    """F3 finds all operators by that word, in each language."""
    assert [text for text, said in texts.translations(language).items() if "Rodin" in text and "Rodin" not in said] == []


NAMES = {
    "Render Result",  # Blender's
    "Rodin Picture",
    "Made with Rodin",
    "merged by  m",
    " units a meter",
    " bytes",
    " Root",
    "Rodin: ",
    "Blender .",  # with its version
    "Blender/",
}
"""Names, and what is put into a file, which looks the same wherever it was made."""


PART = r"^[A-Z][a-z]|[a-z]{2}[,.:;]? |[ ,.:;]{1,2}[a-z]{2}"
"""What tells words in a literal that is put together with values."""


def test_what_the_window_says_is_found_or_no_words() -> None:
    """A literal with several words in it stands where `tools.texts` looks, and none is put together with values."""
    known, left = texts.to_translate(), []
    for name, tree in texts.modules():
        if not name.startswith("blender/"):
            continue
        passed = {inner for node in ast.walk(tree) if _is_no_text(node) for inner in ast.iter_child_nodes(node)}
        for node in ast.walk(tree):
            text, words = "", r"[a-z][,.:;]? [a-z]{2}"
            if isinstance(node, ast.JoinedStr):
                text, words = "".join(part.value for part in node.values if isinstance(part, ast.Constant)), PART
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in known:
                text = node.value
            if node not in passed and text not in NAMES and re.search(words, text):
                left.append(f"{name}:{node.lineno}: {text!r}")
    assert left == []


def _is_no_text(node: ast.AST) -> bool:
    """Documentation, a part of what is put together, or an error that says how the code is used."""
    match node:
        case ast.Expr(value=ast.Constant()) | ast.JoinedStr() | ast.Call(func=ast.Name(id="RuntimeError")):
            return True
    return False
