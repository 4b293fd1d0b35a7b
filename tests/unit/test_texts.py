# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said as data: how it becomes words, survives the disk, and is made of templates wherever it is made."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rodin_blender.command_line.output import Exit
from rodin_blender.command_line.voice import SHELL, of_batch
from rodin_blender.texts.actions import WORDS, Action
from rodin_blender.texts.phrases import listed, quoted
from rodin_blender.texts.text import PLAIN, Text, Trouble, Voice, as_json, from_json

PACKAGE = Path(__file__).parents[2] / "rodin_blender"
BELOW_THE_FRONT_ENDS = ("service", "tasks", "storage", "tracking")
GERMAN = {
    "The {whose} did not answer ({status}).": "{status}: keine Antwort ({whose}).",
    "service": "Dienst",
    "Resume it to go on.": "Weiter mit Fortsetzen.",
}
SILENT = Trouble("silent", Text("The {whose} did not answer ({status}).", whose=Text("service"), status=502), Action.RESUME)

names = st.text("abc_", min_size=1, max_size=3)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.recursive(
    st.builds(Text, st.text()),
    lambda inner: st.builds(
        lambda template, values: Text(template, **values),
        st.text() | st.sampled_from(["{a}", "{a:size} {b:clock} {c:n} {d:duration}", "{a:{b}", "{}", "{0}{a.b}"]),
        st.dictionaries(names, st.text() | numbers | inner, max_size=3),
    ),
    max_leaves=5,
)
troubles = st.builds(lambda code, text, do: Trouble(code, text, *do), names, texts, st.lists(st.sampled_from(Action)))


def test_a_template_is_translated_before_its_fields_are_filled_and_an_action_is_worded_by_the_front_end() -> None:
    assert str(SILENT) == "The service did not answer (502). Resume it to go on."
    assert Voice(lambda text: GERMAN.get(text, text)).say(SILENT) == "502: keine Antwort (Dienst). Weiter mit Fortsetzen."
    assert SHELL.say(SILENT, task="1a2b") == "The service did not answer (502). Run `resume 1a2b` to go on."
    assert SHELL.say(Text("Nothing was sent. {why}", why=SILENT), task="1a2b").endswith("Run `resume 1a2b` to go on.")
    assert of_batch(Path("/show/{task}")).say(Trouble("x", "", Action.SETTLE), task="1a2b").startswith("Run `settle 1a2b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (Text("{size:size} of {limit:n}", size=12_400_000, limit=1_000_000), "12.4 MB of 1,000,000"),
        (Text("{wait:duration}", wait=130.7), "2 min 10 s"),
        (Text("{credits} credits", credits=0.5), "0.5 credits"),
        (Text("{credits} credits", credits=12.0), "12 credits"),
        (Text("'{name}' {no} {}", name="{a} {b}", a=1), "'{a} {b}' {no} {}"),
        (Text("{at:clock}", at=1e300), "1e+300"),
        (Text("{x:new_kind}", x=7), "7"),
    ],
)
def test_how_a_field_reads(text: Text, words: str) -> None:
    assert str(text) == words


@given(texts | troubles)
def test_it_is_the_same_after_it_was_on_the_disk_and_always_reads_somehow(said: Text | Trouble) -> None:
    found = from_json(json.loads(json.dumps(as_json(said))))
    assert found == said and hash(found) == hash(said)
    assert isinstance(PLAIN.say(found), str)


@pytest.mark.parametrize(
    "found",
    [None, 1, "text", [], {}, {"text": 1, "values": {}}, {"text": "", "values": []}, {"text": "", "values": {"a": None}},
     {"text": "", "values": {}, "code": 1, "actions": []}, {"text": "", "values": {}, "code": "", "actions": "x"}],
    ids=str,
)  # fmt: skip
def test_what_is_no_text_is_refused(found: object) -> None:
    with pytest.raises(ValueError):
        from_json(found)


def test_texts_in_a_row_are_each_in_the_language_of_the_voice() -> None:
    told = [Text("Number {number}", number=number) for number in range(3)]
    assert str(listed(told, 3, "; ")) == "Number 0; Number 1; Number 2"
    assert Voice(lambda text: text.replace("Number", "Nummer")).say(listed(told, 3)) == "Nummer 0, Nummer 1, Nummer 2"
    assert str(listed(told, 2)) == "Number 0, Number 1 and 1 more"
    assert str(quoted(["{word0}"], 2)) == "'{word0}'" and str(listed([], 2)) == ""
    assert len(str(quoted(["a vase"] * 5000, 5000))) > 5000


def test_each_action_has_words_in_whole_sentences() -> None:
    assert WORDS.keys() == set(Action)
    for words in (*WORDS.values(), *SHELL.words.values()):
        assert not words or re.fullmatch(r"[A-Z].*\.", words), words


def test_no_words_of_a_shell_speak_of_buttons() -> None:
    for do in Action:
        assert not re.search(r"\b[Pp]ress\b|clipboard|in the preferences", SHELL.say(Trouble("", "", do)))


def modules(*layers: str) -> Iterator[tuple[Path, ast.Module]]:
    for layer in layers:
        for path in sorted((PACKAGE / layer).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def test_no_sentence_is_put_together_but_by_the_command_line() -> None:
    """A sentence with values in it is a template with fields, so that each front end can say it in its own way."""
    found = []
    for path, tree in modules(*BELOW_THE_FRONT_ENDS, "configuration", "blender"):
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                constant = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
                if re.search(r"[a-z)'] [a-z]+.*\.$|\. [A-Z]", constant) and not re.search(r"\b(SELECT|UPDATE)\b", constant):
                    found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {constant}")
    assert not found, "\n".join(found)


def test_each_template_names_the_values_that_it_is_given() -> None:
    """Where both stand at one place, as literals."""
    found = []
    for path, tree in modules(*BELOW_THE_FRONT_ENDS, "blender", "command_line", "configuration"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Text" and node.args:
                template, given = node.args[0], {keyword.arg for keyword in node.keywords}
                if isinstance(template, ast.Constant) and None not in given:
                    fields = {name for name, _ in re.findall(r"\{(\w+)(:\w+)?\}", template.value)}
                    if fields != given:
                        found.append(f"{path.relative_to(PACKAGE)}:{node.lineno}: {fields ^ given}")
    assert not found, "\n".join(found)


def test_each_code_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", (PACKAGE.parent / "docs" / "pipeline.md").read_text(encoding="utf-8")))
    codes = {code.name.lower() for code in Exit if code is not Exit.DONE}
    for _path, tree in modules(*BELOW_THE_FRONT_ENDS, "blender", "command_line", "configuration"):
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="Trouble" | "Blocker"), args=[ast.Constant(value=str(code)), *_]):
                    codes.add(code)
                case ast.Assign(targets=[ast.Name(id="_code")], value=ast.Constant(value=str(code))):
                    codes.add(code)
    assert len(codes) > 30 and codes - {""} <= documented, codes - documented


def test_each_button_that_a_text_tells_to_press_is_there() -> None:
    """Blender is not needed to see it: the words of the panels stand in their source."""
    panels = "\n".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "blender" / "panels").glob("*.py"))
    told = set()
    for _path, tree in modules("blender"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                told |= set(re.findall(r"\b[Pp]ress ((?:[A-Z]\w+ |and (?=[A-Z]))*[A-Z]\w+)", node.value))
    # A key, and a button that has its price in its name.
    told -= {"Enter", "Generate"}
    assert len(told) > 5 and {name for name in told if f'"{name}"' not in panels} == set()
