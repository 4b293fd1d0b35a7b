# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a batch's table as people have it: CSV or TSV of any spreadsheet, or JSON Lines. Pure functions.

A row brings a task's keys, or a prompt or images from which a model is to be generated, with a column for each option.
All that is wrong is told with its line, and no sentence quotes a value, which may be a key.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, NamedTuple

from ..service import keys, paste_parser
from ..service.errors import BadInput
from ..service.keys import Generation
from ..tasks.options import OPTIONS

LONGEST_NAME = 100
COLUMNS = ("name", "prompt", "images", "subscription_key", "task_uuid", *OPTIONS)
_ALIASES = {"image": "images", "uuid": "task_uuid"}
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[ \t]*\r?\n', re.IGNORECASE)
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
_NEEDED = (
    "name the columns: prompt or images for what is to be generated, or subscription_key and task_uuid for what was "
    "begun already, and name"
)


class Problem(NamedTuple):
    """What keeps a table from being used. `line` is 0 where it is the table as a whole."""

    line: int
    text: str


@dataclass(frozen=True)
class Row:
    """One model. `generation` is None for one that is to be generated; its `options` are as the table has them.

    `given_name` is "" where `name` was made here. `refused` is the error of a row that is the service's error answer:
    there is nothing to follow.
    """

    line: int
    name: str
    given_name: str = ""
    generation: Generation | None = None
    prompt: str = ""
    images: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""


@dataclass(frozen=True)
class Table:
    """Rows in the order of the file. Some may be missing where there are `problems`. `ignored` are unknown columns."""

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    ignored: tuple[str, ...] = ()


def read(content: bytes) -> Table:
    """The table in the content of a file. Never raises for what stands in it."""
    try:
        text = decoded(content)
    except BadInput as error:
        return Table((), (Problem(0, str(error)),))
    problems: list[Problem] = []
    ignored: dict[str, None] = {}
    found = _json_rows(text, problems) if text.lstrip().startswith("{") else _separated_rows(text, problems, ignored)
    rows: list[Row] = []
    for line, values in found:
        try:
            rows.append(_row(line, values, ignored))
        except BadInput as error:
            problems.append(Problem(line, str(error)))
    problems += _repeated(rows)
    if not problems and not any(not row.refused for row in rows):
        problems += [Problem(row.line, row.refused) for row in rows] or [Problem(0, "There are no tasks in it.")]
    return Table(tuple(_named(rows)), tuple(sorted(problems)), tuple(ignored))


def decoded(content: bytes) -> str:
    """The text of a file that a spreadsheet or a script wrote. Raises BadInput for what is no text."""
    try:
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            text = content.decode("utf-16")
        else:
            try:
                text = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                # What Excel on Windows saves as plain CSV in Western Europe and America.
                text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROLS.search(text):
        raise BadInput('This is no text that can be read. Save the table as "CSV UTF-8".')
    return text


def _json_rows(text: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    # No other kind of line break, which a name may hold.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if isinstance(row, dict):
                yield number, row
            else:
                problems.append(Problem(number, "This is no JSON object. Write one for each model, each in one line."))


def _separated_rows(
    text: str, problems: list[Problem], ignored: dict[str, None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    declared = _SEPARATOR_LINE.match(text)
    skipped = 1 if declared else 0
    text = text[declared.end() :] if declared else text
    separator = declared[1] if declared else max(_SEPARATORS, key=lambda one: _known(_header(text, one)))
    columns = _header(text, separator)
    named = set(columns) & {"prompt", "images"} or {"subscription_key", "task_uuid"} <= set(columns)
    if not named:
        problems.append(Problem(1 + skipped, f"The first line must {_NEEDED}."))
        return
    times = Counter(filter(None, columns))
    troubles = [f"The column '{name}' is there twice." for name in times if times[name] > 1]
    for name in columns:
        if name and name not in COLUMNS:
            troubles += _mistyped(name, columns)
            ignored[keys.printable(name, 40)] = None
    problems += (Problem(1 + skipped, trouble) for trouble in troubles)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    before = 0
    try:
        for values in lines:
            # A value may go over several lines.
            line, before = before + 1 + skipped, lines.line_num
            if any(map(str.strip, values)) and line > 1 + skipped:
                row = {name: value for name, value in zip(columns, values, strict=False) if name in COLUMNS}
                generates = not row.get("subscription_key", "").strip()
                if generates and any(map(str.strip, values[len(columns) :])):
                    what = "There are more values than columns. Put a text that holds the separator in quotation marks."
                    problems.append(Problem(line, what))
                else:
                    yield line, row
    except csv.Error:
        what = "This cannot be read; perhaps a quotation mark is not closed."
        problems.append(Problem(before + 1 + skipped, what))


def _header(text: str, separator: str) -> list[str]:
    """The names of the columns, as `COLUMNS` has them where they are known."""
    try:
        first = next(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return []
    return [_column(name) for name in first]


def _column(name: str) -> str:
    plain = re.sub(r"[\s_-]+", "_", name.strip().casefold())
    return _ALIASES.get(plain, plain)


def _known(columns: Iterable[str]) -> int:
    return sum(column in COLUMNS for column in columns)


def _mistyped(name: str, columns: Iterable[str]) -> list[str]:
    """What is to be said of an unknown column that is meant for a known one: it must not be passed over silently."""
    missing = [column for column in COLUMNS if column not in columns and abs(len(column) - len(name)) <= 1]
    meant = get_close_matches(name, missing, 1, 0.75)
    return [f"There is no column '{keys.printable(name, 40)}'. Is '{meant[0]}' meant?"] if meant else []


def _row(line: int, found: Mapping[str, Any], ignored: dict[str, None]) -> Row:
    """What one row means. Raises BadInput."""
    error = found.get("error")
    is_error = isinstance(error, str) and error.strip() not in paste_parser.NO_ERROR
    if "jobs" in found or is_error:
        try:
            generation = paste_parser.generation_answer(found)
        except BadInput as trouble:
            if not is_error:
                raise
            return Row(line, _text(found, "name") or f"Line {line}", refused=str(trouble))
        given_name = _text(found, "name").replace(generation.subscription_key.reveal(), "****")
        return _keyed(line, generation, given_name)
    values: dict[str, Any] = {}
    for name, value in found.items():
        column = _column(name)
        if column in COLUMNS:
            values[column] = value
        elif column:
            for text in _mistyped(column, [*map(_column, found)]):
                raise BadInput(text)
            ignored[keys.printable(column, 40)] = None
    given_name, prompt, images = _text(values, "name"), _text(values, "prompt"), _images(values.get("images"))
    key, uuid = _text(values, "subscription_key"), _text(values, "task_uuid")
    if key or uuid or not (prompt or images):
        if not key and not uuid and "subscription_key" not in values:
            raise BadInput("There is neither a prompt nor an image.")
        generation = Generation(keys.subscription_key(key), keys.task_uuid(uuid), keys.redacted(prompt, 60))
        return _keyed(line, generation, given_name)
    options = {name: values[name] for name in OPTIONS if _text(values, name)}
    called = keys.redacted(prompt, 60) or keys.printable(re.split(r"[/\\]", images[0])[-1].rpartition(".")[0], 60)
    return Row(line, called, given_name, None, prompt, images, options)


def _keyed(line: int, generation: Generation, given_name: str) -> Row:
    """Raises BadInput."""
    if not generation.task_uuid:
        raise BadInput(f"There is no task_uuid, which the download needs. {keys.WHERE_THE_UUID_IS}")
    return Row(line, generation.name, given_name, generation)


def _text(values: Mapping[str, Any], column: str) -> str:
    value = values.get(column)
    return "" if value is None else str(value).strip()


def _images(value: object) -> tuple[str, ...]:
    """Paths; a list in JSON, else `;` between them."""
    parts = value if isinstance(value, list) else str(value or "").split(";")
    return tuple(path for path in (str(part).strip().strip("\"'") for part in parts) if path)


def _repeated(rows: Iterable[Row]) -> Iterator[Problem]:
    """What two rows must not share."""
    lines: dict[tuple[str, object], int] = {}
    for row in rows:
        marks: list[tuple[str, object]] = [("name", row.given_name)] if row.given_name else []
        if row.generation:
            marks += [("subscription_key", row.generation.subscription_key), ("task_uuid", row.generation.task_uuid)]
        for mark in marks:
            first = lines.setdefault(mark, row.line)
            if first != row.line:
                yield Problem(row.line, f"This has the {mark[0]} of line {first}. Each row needs one of its own.")


def _named(rows: Iterable[Row]) -> Iterator[Row]:
    """Give each row a name of its own in one line; a given one goes before a made one, which gets a number."""
    rows = list(rows)
    names: dict[int, str] = {}
    taken: set[str] = set()
    for given in (True, False):
        for index, row in enumerate(rows):
            if bool(row.given_name) is given:
                whole = row.given_name or row.name or "Task"
                name, number = keys.printable(whole, LONGEST_NAME), 1
                while name in taken:
                    number += 1
                    name = f"{keys.printable(whole, LONGEST_NAME - len(str(number)) - 1)} {number}"
                names[index] = name
                taken.add(name)
    return (replace(row, name=names[index]) for index, row in enumerate(rows))
