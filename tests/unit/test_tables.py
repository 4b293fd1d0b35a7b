# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables as people have them: each is read right, or refused with its line and what to do, and never with a key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rodin_blender.command_line import tables

UUID = "123e4567-e89b-12d3-a456-42661417{:04d}"
HEAD = "name,subscription_key,task_uuid\n"
KEY = "k" * 60
NAMES = ["Vase", "Stühle groß", "茶壶", "Cup & saucer", "O'Brien"]
Values = list[tuple[str, str, str]]


def read(content: str | bytes) -> Values:
    """The rows that bring keys, where nothing is wrong."""
    table = tables.read(content.encode() if isinstance(content, str) else content)
    assert table.problems == ()
    assert all(row.generation for row in table.rows)
    return [(row.name, row.generation.subscription_key.reveal(), row.generation.task_uuid) for row in table.rows if row.generation]


def wrong(content: str | bytes) -> list[tuple[int, str]]:
    found = tables.read(content.encode() if isinstance(content, str) else content).problems
    assert KEY not in str(found)
    return [*found]


def values(*names: str) -> Values:
    return [(name, f"key-{number}", UUID.format(number)) for number, name in enumerate(names, 1)]


def separated(rows: Values, separator: str = ",", end: str = "\n", head: str = HEAD.strip()) -> str:
    return "".join(separator.join(row) + end for row in [head.split(","), *rows])


def members(rows: Values) -> list[dict[str, Any]]:
    return [dict(zip(("name", "subscription_key", "task_uuid"), row, strict=True)) for row in rows]


def lines(*objects: dict[str, Any]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


def answer(number: int, **more: Any) -> dict[str, Any]:
    return {"uuid": UUID.format(number), "message": "Submitted.", "jobs": {"subscription_key": f"key-{number}", "uuids": []}, **more}


A, B = ("A", "key-a", UUID.format(1)), ("B", "key-b", UUID.format(2))


@pytest.mark.parametrize(
    "content",
    [
        separated([A, B]),
        f"\ufeff{HEAD}{','.join(A)}\r\n\r\n{','.join(B)}",
        f'"task_uuid","note","name","subscription_key"\n{A[2]},"a, b\nc",A,key-a\n{B[2].upper()},,B, key-b\n',
        separated([A, B], ";"),
        separated([A, B], "\t", "\r\n"),
        separated([A, B], "|"),
        f"name, subscription_key, task_uuid\n A, key-a, {A[2]}\nB,key-b,{B[2]},one column more",
        "sep=;\r\n" + separated([A, B], ";", "\r\n"),
        '"sep=\t"\n' + separated([A, B], "\t"),
        separated([A, B], head="Name , Subscription Key , Task-UUID"),
        separated([A, ("", "", ""), B, ("", " ", "")], ";", "\r\n"),
        "".join(line + "\n\n" for line in lines(*members([A, B])).splitlines()),
        "".join(json.dumps({"prompt": row[0], "uuid": row[2], "jobs": {"subscription_key": row[1]}, "error": None}) + "\r\n" for row in (A, B)),
        lines({"name": "A", "prompt": "other", "uuid": A[2], "jobs": {"subscription_key": "key-a"}}, *members([B])),
        lines({"Name": "A", "Subscription_Key": "key-a", "UUID": A[2]}, *members([B])),
    ],
)  # fmt: skip
def test_a_table_is_read_in_each_of_its_forms(content: str) -> None:
    assert read(content) == [A, B]
    assert read(content.removeprefix("\ufeff").encode("utf-16")) == [A, B], "as PowerShell and Excel write it"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_of_all_languages_come_through(encoding: str) -> None:
    assert read(separated(values(*NAMES), "\t").encode(encoding)) == values(*NAMES)


def test_what_excel_saves_as_plain_csv_is_windows_1252() -> None:
    rows = values("Stühle groß", "Käse", "Öl", "5 € – “Lamp”")
    assert read(separated(rows, ";", "\r\n").encode("cp1252")) == rows


def test_answers_without_a_name_get_made_ones_that_are_numbered() -> None:
    assert read(lines(answer(1), answer(2), answer(3))) == values("Task", "Task 2", "Task 3")
    assert read(lines(*(answer(n, prompt="a vase") for n in (1, 2, 3)))) == values("a vase", "a vase 2", "a vase 3")
    # A name that somebody gave goes before a made one, wherever it stands.
    assert read(lines(answer(1, prompt="Pot"), answer(2, name="Pot"))) == values("Pot 2", "Pot")


def test_names_that_differ_after_100_characters_stay_two() -> None:
    long = ["x" * 300, "x" * 300 + "b", "ü" * 120]
    for content in (separated(values(*long)), lines(*(answer(n, name=name) for n, name in enumerate(long, 1)))):
        names = [name for name, _, _ in read(content)]
        assert names == ["x" * 99 + "…", "x" * 97 + "… 2", "ü" * 99 + "…"]


def test_a_name_may_hold_any_letters_and_becomes_one_line() -> None:
    rows = members(values("a\u2028b\x85c", 'Vase, "große"\n 椅子'))
    content = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert [name for name, _, _ in read(content)] == ["a b c", 'Vase, "große" 椅子']


def test_an_error_answer_among_good_ones_keeps_its_place_and_tells_its_error() -> None:
    table = tables.read(lines(answer(1), {"error": "INSUFFICIENT_FUND", "message": "no"}, answer(3)).encode())
    assert table.problems == () and [row.line for row in table.rows] == [1, 2, 3]
    assert table.rows[1].generation is None and "INSUFFICIENT_FUND: no" in table.rows[1].refused


def test_a_row_may_tell_what_is_to_be_generated_beside_rows_that_bring_keys() -> None:
    content = (
        "Name;Prompt;Images;Tier;T-Pose;Seed;subscription_key;task_uuid;shot\n"
        ';"A vase; blue";;Gen-2;yes;7;;;010\n'
        f"Old;;;;;;key-a;{UUID.format(1)};020\n"
        'Chair;;"a.png; b c.jpg ";;;;;;\n'
        ';;"pics/Lamp.v2.png";;;;;;\n'
    )
    table = tables.read(content.encode())
    assert table.problems == () and table.ignored == ("shot",)
    vase, old, chair, lamp = table.rows
    assert (vase.name, vase.given_name, vase.prompt) == ("A vase; blue", "", "A vase; blue")
    assert vase.options == {"tier": "Gen-2", "t_pose": "yes", "seed": "7"}
    assert old.generation and old.name == "Old"
    assert (chair.name, chair.prompt, chair.images, chair.options) == ("Chair", "", ("a.png", "b c.jpg"), {})
    assert (lamp.name, lamp.images) == ("Lamp.v2", ("pics/Lamp.v2.png",))


def test_json_has_lists_and_numbers() -> None:
    (row,) = tables.read(lines({"prompt": "a", "images": ["a;b.png", "c.png"], "seed": 7, "t_pose": False, "tier": None}).encode()).rows
    assert row.images == ("a;b.png", "c.png") and row.options == {"seed": 7, "t_pose": False}


NO_COLUMNS = "The first line must name the columns: prompt or images"


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("", 1, NO_COLUMNS),
        (HEAD, 0, "There are no tasks in it."),
        (f"name,task_uuid\nA,{A[2]}\n", 1, NO_COLUMNS),
        (f"{','.join(A)}\n", 1, NO_COLUMNS),
        (f"{HEAD}A,{KEY}\n", 2, "There is no task_uuid, which the download needs."),
        (f"{HEAD}{','.join(A)}\nB,{KEY},not-a-uuid\n", 3, "This is not a task uuid."),
        (f"{HEAD}A,{A[2]},{KEY}\n", 2, "perhaps the two are swapped."),
        (f"{HEAD}A,,{A[2]}\n", 2, "No subscription key was given."),
        (f"name,prompt,subscription_key,task_uuid\nA,a vase,,{A[2]}\n", 2, "No subscription key was given."),
        (f"{HEAD}{','.join(A)}\nA,{KEY},{B[2]}\n", 3, "This has the name of line 2."),
        (f"{HEAD}A,{KEY},{A[2]}\nB,{KEY},{B[2]}\n", 3, "This has the subscription_key of line 2."),
        (f"{HEAD}A,{KEY},{A[2]}\nB,key-b,{A[2].upper()}\n", 3, "This has the task_uuid of line 2."),
        (f'{HEAD}"A,{KEY}', 2, "perhaps a quotation mark is not closed."),
        (f'{HEAD}A,"{"k" * 200_000}",x\n', 2, "This cannot be read"),
        (f'{HEAD}{",".join(A)}\n\n"B\n,{KEY}', 4, "perhaps a quotation mark is not closed."),
        ("name,prompt,prompt\n", 1, "The column 'prompt' is there twice."),
        ("name,prompt,teir\nA,a vase,Gen-2\n", 1, "There is no column 'teir'. Is 'tier' meant?"),
        ("name,prompt\nA,a vase, blue\n", 2, "There are more values than columns."),
        ("name,prompt\nA,a vase\nB,\n", 3, "There is neither a prompt nor an image."),
        ("{}\n", 1, "There is neither a prompt nor an image."),
        (f'{{"name": "A", "subscription_key": "{KEY}"}}', 1, "There is no task_uuid"),
        (lines({"prompt": "a", "qualty": "low"}), 1, "There is no column 'qualty'. Is 'quality' meant?"),
        (lines(*members([A])) + f'{{"name": "{KEY}\n', 2, "This is no JSON object."),
        (lines(*members([A])) + "[1]", 2, "This is no JSON object."),
        (lines({"error": "API_INSUFFICIENT_FUND", "jobs": {}}), 1, "This is an error answer"),
        ('{"a":' * 50_000, 1, "This is no JSON object."),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" * 50, 0, 'This is no text that can be read. Save the table as "CSV UTF-8".'),
        (b"PK\x03\x04\x14\x00" * 50, 0, "This is no text that can be read."),
        ("name,prompt".encode("utf-16-le"), 0, "This is no text that can be read."),
    ],
    ids=range(29),
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_without_keys(content: str | bytes, line: int, said: str) -> None:
    (found,) = wrong(content)
    assert found[0] == line and said in found[1]


def test_all_that_is_wrong_is_told_in_the_order_of_lines() -> None:
    content = f"{HEAD}A,,{A[2]}\nB,{KEY},x\nC,key-c,{A[2]}\nC,key-d,{B[2]}\n"
    assert [line for line, _ in wrong(content)] == [2, 3, 5]
