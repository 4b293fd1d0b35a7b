# SPDX-License-Identifier: GPL-3.0-or-later
"""What people paste: which tasks are read from it, and what is said of everything else."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rodin_blender.service import keys, paste_parser
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Generation, Secret

UUID = "123e4567-e89b-12d3-a456-426614174000"
API_KEY = Secret("the-api-key-in-use")


def key(number: int) -> str:
    """As long as those of the service, and of the same form."""
    return f"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ0eXBlIjoicm9kaW4i{number:04d}{'A' * 190}.{number:043d}"


def answer(number: int, prompt: str = "") -> dict[str, Any]:
    return {
        "error": None,
        "message": "Submitted.",
        "prompt": prompt or f"it's model {number}",
        "submit_time": "2026-01-01T00:00:00Z",
        "uuid": uuid(number),
        "jobs": {"uuids": [UUID.replace("1", "2")], "subscription_key": key(number)},
    }


def uuid(number: int) -> str:
    return f"{number:08d}{UUID[8:]}"


def generation(number: int) -> Generation:
    return Generation(Secret(key(number)), uuid(number), f"it's model {number}")


def bare(*numbers: int) -> tuple[Generation, ...]:
    return tuple(Generation(Secret(key(number))) for number in numbers)


KEY = key(1)
ANSWER = answer(1)
ONE, TWO, THREE = map(generation, (1, 2, 3))
COMPACT = json.dumps(ANSWER)
PRETTY = json.dumps(ANSWER, indent=4)
STATUS_ANSWER = json.dumps({"error": "", "jobs": [{"uuid": UUID, "status": "Done"}]})
FILES_ANSWER = json.dumps({"error": "OK", "list": [{"name": "base.glb", "url": "https://file.example.com/x?key=1"}]})
REFUSED = {"error": "API_INSUFFICIENT_FUND", "message": "The fund in your wallet is insufficient."}
OTHER_TOOL = {"generation_id": "gen_0123456789", "status": "queued", "display_url": "https://hyper3d.ai/g/0123456789"}
HEADERS = "HTTP/2 201 \r\ndate: Wed, 01 Jan 2026 00:00:00 GMT\r\ncontent-type: application/json\r\nx-id: [1] {2}\r\n"
VERBOSE = f"> POST /api/v2/rodin HTTP/2\n> authorization: Bearer {'k' * 64}\n* Request completely sent off\n< HTTP/2 201\n"
TRACE = "2026-01-01 12:00:00,123 [INFO] studio.rodin (thread 5): "

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
answer_like = st.fixed_dictionaries(
    {},
    optional={
        "error": json_values,
        "uuid": json_values | st.just(UUID),
        "prompt": json_values,
        "name": json_values,
        "list": json_values,
        "generation_id": json_values,
        "subscription_key": json_values | st.just(KEY),
        "jobs": json_values | st.fixed_dictionaries({"subscription_key": json_values | st.just(KEY)}),
    },
)


@pytest.mark.parametrize(
    "text",
    [
        COMPACT,
        PRETTY,
        PRETTY.replace("\n", "\r\n"),
        PRETTY.replace(" ", "\xa0"),
        "\ufeff" + COMPACT,
        f"[{COMPACT}]",
        repr(ANSWER),
        repr([ANSWER]),
        repr(COMPACT),
        repr(PRETTY),
        repr(COMPACT.encode()),
        repr(PRETTY.encode()),
        json.dumps(COMPACT),
        COMPACT.replace('"', "\u201c"),
        COMPACT.replace('"', '\\"'),
        f"{HEADERS}\r\n{COMPACT}\n",
        f"{VERBOSE}{PRETTY}\n* Connection #0 to host left intact",
        f"Done!\n\n```json\n{PRETTY}\n```\n\nThanks",
        f"`{COMPACT}`",
        f"```\n{KEY}\n```\n{COMPACT}",
        f"{TRACE}{COMPACT}\n{TRACE}ready",
        f"{TRACE}response = {ANSWER!r}, took 3.1 s",
        f"\x1b[32m{TRACE}\x1b[0m{COMPACT}",
        f"<Response [201]> {ANSWER!r}",
        json.dumps({"level": "info", "error": "", "response": ANSWER}),
        json.dumps({"level": "info", "body": COMPACT}),
        json.dumps({"log": json.dumps({"body": COMPACT})}),
        f"{COMPACT}\n{STATUS_ANSWER}\n{STATUS_ANSWER}\n{FILES_ANSWER}",
        f'{TRACE}{json.dumps({"error": "timed out"})}\n{TRACE}{json.dumps({"error": "NO_SUCH_TASK"})}\n{COMPACT}',
        f'{{"subscription_key": "{KEY}"}}\n{COMPACT}',
        f"{COMPACT}\n{COMPACT}\n{KEY}",
    ],
)
def test_an_answer_is_found_in_whatever_it_was_copied_with(text: str) -> None:
    expected = ONE if "\xa0" not in text else Generation(ONE.subscription_key, ONE.task_uuid, "it's model 1")
    assert paste_parser.parse(text, API_KEY) == paste_parser.ParsedTasks((expected,))


@pytest.mark.parametrize(
    ("text", "generations"),
    [
        (json.dumps([answer(1), answer(2)]), (ONE, TWO)),
        (json.dumps({"answers": [answer(2), answer(1)]}), (TWO, ONE)),
        (f"{json.dumps(answer(1))}\n{json.dumps(answer(2))}\n", (ONE, TWO)),
        (f"{json.dumps(answer(1), indent=2)}\n\n{json.dumps(answer(2), indent=2)}", (ONE, TWO)),
        (f"{json.dumps(answer(1))}{json.dumps(answer(2))}", (ONE, TWO)),
        (f"{json.dumps(answer(1))},\n{answer(2)!r}\n{key(3)}", (ONE, TWO, *bare(3))),
        (f"{key(3)}\n{json.dumps(answer(1))}", (*bare(3), ONE)),
        (f"{TRACE}{answer(1)!r}\n{TRACE}ok\n{TRACE}{json.dumps(answer(2))}", (ONE, TWO)),
        (f"{key(1)}\n{key(2)}\r\n\n  {key(3)}  \n{key(1)}", bare(1, 2, 3)),
        (json.dumps([key(1), key(2)]), bare(1, 2)),
        (f"Here are the keys\n{key(1)}\n{key(2)}\nBye", bare(1, 2)),
        ("a-key-of-another-form\nanother-key-of-another-form", tuple(Generation(Secret(f"a{n}-key-of-another-form")) for n in ("", "nother"))),
        ("\n".join(KEY[at : at + 76] for at in range(0, len(KEY), 76)), bare(1)),
        (f"Task UUID: {uuid(1)}\nSubscription key: {KEY}", (Generation(Secret(KEY), uuid(1)),)),
        (f"uuid  : {uuid(1)}\njobs  : @{{uuids=System.Object[]; subscription_key={KEY}}}", (Generation(Secret(KEY), uuid(1)),)),
        (f"subscription_key={key(1)}\nsubscription_key='{key(2)}'", bare(1, 2)),
    ],
)  # fmt: skip
def test_several_tasks_are_read_in_their_order(text: str, generations: tuple[Generation, ...]) -> None:
    assert paste_parser.parse(text, API_KEY) == paste_parser.ParsedTasks(generations)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (KEY, Generation(Secret(KEY))),
        (f"\n  `{KEY}`\n", Generation(Secret(KEY))),
        (json.dumps({"jobs": {"subscription_key": KEY}, "uuid": None}), Generation(Secret(KEY))),
        (json.dumps({"subscription_key": KEY, "uuid": UUID.upper()}), Generation(Secret(KEY), UUID)),
        (json.dumps({**ANSWER, "error": "OK", "prompt": "x" * 500}), Generation(Secret(KEY), uuid(1), "x" * 59 + "\u2026")),
        (json.dumps({**ANSWER, "prompt": "\ud800\x1b[31m"}), Generation(Secret(KEY), uuid(1), "[31m")),
        (json.dumps({**ANSWER, "prompt": f"a chair {KEY}"}), Generation(Secret(KEY), uuid(1), "a chair ****")),
        (json.dumps({**ANSWER, "name": f"chair {KEY}"}), Generation(Secret(KEY), uuid(1), "chair ****")),
        (json.dumps({**ANSWER, "name": "Chair"}), Generation(Secret(KEY), uuid(1), "Chair")),
    ],
)  # fmt: skip
def test_key_uuid_and_name_are_read(text: str, found: Generation) -> None:
    assert paste_parser.parse(text) == paste_parser.ParsedTasks((found,))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "Nothing was given"),
        (" \n\t", "Nothing was given"),
        (UUID, "looks like a uuid"),
        ("a sentence copied elsewhere", "spaces"),
        ("a sentence\ncopied elsewhere", "no task in this text"),
        ("k" * (paste_parser.LONGEST_PASTE + 1), "262 kB, far too much"),
        ("\x89PNG\r\n\x1a\n\0\0", "not text"),
        (COMPACT[:-20], "A part of this answer is missing"),
        (PRETTY[:-40], "A part of this answer is missing"),
        (repr(ANSWER)[:-20], "A part of this answer is missing"),
        ("[" * 200_000, "cannot be read|too many brackets"),
        ('{"uuid": ' + "9" * 5000 + "}", "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "no subscription key"),
        ('{"jobs": {"uuids": []}}', "no subscription key"),
        (STATUS_ANSWER, "tells a task's status"),
        (FILES_ANSWER, "list of files"),
        (json.dumps({"jobs": {"subscription_key": 5}}), "no subscription key"),
        (json.dumps(REFUSED), r"error answer \(API_INSUFFICIENT_FUND: The fund in your wallet is insufficient\.\)"),
        (json.dumps({"error": "\n" + "E" * 190}), r"error answer.*\(E{119}\u2026\)"),
        (json.dumps([REFUSED, {"error": "PERMISSION_DENIED"}]), "None of these 2.*The first: .*INSUFFICIENT"),
        (json.dumps({**ANSWER, "jobs": {"subscription_key": UUID}}), "looks like a uuid"),
        (json.dumps({**ANSWER, "uuid": KEY}), "looks like a subscription key"),
        (json.dumps({**ANSWER, "jobs": {"subscription_key": "****"}}), "was left out"),
        (json.dumps(OTHER_TOOL), "another Hyper3D tool.*no subscription key.*whole answer"),
        (f"{TRACE}{OTHER_TOOL!r}", "another Hyper3D tool"),
        (f"https://hyper3d.ai/rodin/{UUID}", "link to the website of Hyper3D.*whole answer"),
        (f"hyper3d.ai/rodin/{UUID}", "link to the website of Hyper3D"),
        ("https://example.com/vase?x=1", "link to a web page"),
        (API_KEY.reveal(), "your API key.*whole answer"),
        (f" '{API_KEY.reveal()}'\n", "your API key"),
        (json.dumps({"subscription_key": API_KEY.reveal()}), "your API key"),
        ("k9" * 32, "looks like an API key.*preferences"),
        ("vibecoding", "looks like an API key"),
        ("Vase\nChair", "None of these 2.*too short"),
    ],
)
def test_anything_else_is_told_for_what_it_is(text: str, hint: str) -> None:
    with pytest.raises(BadInput, match=hint) as caught:
        paste_parser.parse(text, API_KEY)
    said = str(caught.value)
    assert KEY not in said and API_KEY.reveal() not in said and "display" not in said
    assert "generation call" not in said and "top level" not in said and len(said) < 400


def test_error_answers_among_good_ones_are_told_with_their_own_errors() -> None:
    answers = [answer(1), REFUSED, answer(2), {"error": "IMAGE_CONTENT_VIOLATION", "message": "No."}]
    for text in (json.dumps(answers), "\n".join(map(json.dumps, answers)), f"{TRACE}{answers!r}"):
        found = paste_parser.parse(text)
        assert found.generations == (ONE, TWO) and found.invalid == ()
        assert [trouble.number for trouble in found.refused] == [2, 4]
        assert "API_INSUFFICIENT_FUND: The fund" in str(found.refused[0].text)
        assert "IMAGE_CONTENT_VIOLATION: No." in str(found.refused[1].text)


@pytest.mark.parametrize(
    ("text", "number", "hint"),
    [
        (f"{key(1)}\n{UUID}", 2, "looks like a uuid"),
        (f"{API_KEY.reveal()}\n{key(1)}", 1, "your API key"),
        (f"{json.dumps(OTHER_TOOL)}\n{COMPACT}", 1, "another Hyper3D tool"),
        (f"{COMPACT}\n{json.dumps(answer(2))[:-20]}", 2, "part of this answer is missing"),
        (f"{json.dumps(answer(2))[:-20]}\n{COMPACT}", 1, "part of this answer is missing"),
        (json.dumps([ANSWER, {**answer(2), "uuid": "x"}]), 2, "not a task uuid"),
        (f"{key(1)}\n{key(2)[:60]} {key(2)[60:]}", 2, "spaces"),
    ],
)
def test_what_is_wrong_among_good_ones_is_told_by_its_number(text: str, number: int, hint: str) -> None:
    found = paste_parser.parse(text, API_KEY)
    assert [part.subscription_key.reveal() for part in found.generations] == [KEY]
    (trouble,) = found.invalid
    assert trouble.number == number and hint in str(trouble.text) and found.refused == ()


@given(st.text(max_size=paste_parser.LONGEST_NAME), st.sampled_from(["", UUID]))
@settings(max_examples=200, deadline=None)
@example("a \u201cquoted\u201d \\ 'name' {\"jobs\": 1} [x] https://example.com/y", UUID)
def test_what_was_copied_brings_the_task_back_whole(name: str, task_uuid: str) -> None:
    given = Generation(Secret(KEY), task_uuid, keys.printable(name, paste_parser.LONGEST_NAME))
    text = paste_parser.serialized(given)
    assert paste_parser.parse(text, API_KEY) == paste_parser.ParsedTasks((given,))
    assert paste_parser.parse(f"{HEADERS}\n{text}\n{text}").generations == (given,)


@given(
    st.text()
    | json_values.map(json.dumps)
    | answer_like.map(json.dumps)
    | st.lists(answer_like.map(json.dumps) | answer_like.map(repr) | st.text(), max_size=4).map("\n".join)
    | answer_like.map(repr)
)
@settings(max_examples=400, deadline=None)
def test_any_text_gives_valid_identifiers_or_bad_input(text: str) -> None:
    try:
        found = paste_parser.parse(text, API_KEY)
    except BadInput as refusal:
        assert str(refusal).isprintable() and KEY not in str(refusal)
        return
    assert found.generations
    for part in found.generations:
        known = part.subscription_key.reveal()
        assert keys.subscription_key(known).reveal() == known
        assert keys.task_uuid(part.task_uuid) == part.task_uuid
        assert part.name.isprintable() and len(part.name) <= paste_parser.LONGEST_NAME
    for trouble in (*found.refused, *found.invalid):
        assert str(trouble.text).isprintable() and KEY not in str(trouble.text)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.lists(st.sampled_from([TRACE, "\n", " ok ", HEADERS]), min_size=7, max_size=7), st.data())
@settings(max_examples=100, deadline=None)
def test_no_answer_is_missed_whatever_stands_between(numbers: list[int], between: list[str], data: st.DataObject) -> None:
    forms = st.sampled_from([json.dumps, repr, lambda value: json.dumps(value, indent=2), lambda value: json.dumps([value])])
    text = "".join(space + data.draw(forms)(answer(number)) for number, space in zip(numbers, between, strict=False))
    found = paste_parser.parse(text + between[-1])
    assert found.generations == tuple(generation(number) for number in dict.fromkeys(numbers))
    assert found.refused == found.invalid == ()


@pytest.mark.parametrize(("longest", "seconds"), [(paste_parser.LONGEST_PASTE, 1.5), (5_000_000, 20.0)])
def test_an_answer_is_found_in_the_longest_log(longest: int, seconds: float) -> None:
    line = "2026-01-01 12:00:00,123 [INFO] [5] studio {thread 7} GET /a {'a', 'b'} {x: 1} -> [200] {\"ok\": true}\n"
    lines = line * ((longest - 3000) // len(line) // 2)
    text = f"{lines}{COMPACT}\n{lines}{answer(2)!r}"
    begun = time.process_time()
    assert paste_parser.parse(text, API_KEY, longest) == paste_parser.ParsedTasks((ONE, TWO))
    assert time.process_time() - begun < seconds


@pytest.mark.parametrize(
    "unit",
    ["[", "{", '{"a":', "{'a':", "[{'", '{"subscription_key":"', "subscription_key=", '"subscription_key": "x', "(\"{", "\\", "a b ", "{'a': [1, 'b'],\n"],
)
def test_the_longest_paste_does_not_hold_up_the_window(unit: str) -> None:
    text = unit * (paste_parser.LONGEST_PASTE // len(unit))
    begun = time.process_time()
    with pytest.raises(BadInput):
        paste_parser.parse(text, API_KEY)
    assert time.process_time() - begun < 1.5
