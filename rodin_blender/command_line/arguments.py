# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands and their arguments, and the keys that come from a file or from standard input."""

from __future__ import annotations

import argparse
import codecs
import math
import re
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from ..service import paste_parser
from ..service.errors import BadInput, os_reason
from ..service.keys import Generation, Secret
from ..tasks.options import OPTIONS

_KEY = (
    "a subscription key, or a task's id or its name in the list; @FILE for a file of keys, one a line, or with "
    "generation answers in it; - for standard input, so that keys need not stand in the list of processes"
)
_TASK = "a task's id or its name in the list"
_CODES = (
    "exit codes: 0 all done, 1 trouble in asking, 2 wrong usage or settings, 3 a task failed or failed in part, "
    "4 time ran out, 5 offline access not allowed, 6 a submission is uncertain, 7 a hook or --exec failed, "
    "130 interrupted"
)

LARGEST_FILE = 64 * 1024 * 1024
"""Bytes of keys or answers that are read."""


class _Parser(argparse.ArgumentParser):
    """Raises BadInput for wrong usage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        # What is quoted may be a key in the wrong place.
        raise BadInput(re.sub(r"[^\s']{40,}", "…", message))


def parser(program: str, versions: Mapping[str, str] = MappingProxyType({})) -> argparse.ArgumentParser:
    """Parsing raises BadInput, and SystemExit for --help and --version, which prints `versions`."""
    whole = _Parser(
        prog=program,
        description="Generate models with Rodin (Hyper3D), follow its tasks, and fetch their models.",
        epilog=_CODES,
        # An abbreviation in a script would change its meaning with the next argument that is added.
        allow_abbrev=False,
    )
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    whole.add_argument("--version", action="version", version=told, help="print the versions of what runs here")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            epilog=f"example: {program} {example}",
            allow_abbrev=False,
        )
        made.add_argument("--json", action="store_true", help="one JSON object a line on standard output (schema 1)")
        return made

    example = 'generate --prompt "A glazed vase" --to out'
    _add_generate(command("generate", "have models generated, which costs credits", example))

    what = "say what becomes of a task that is uncertain, or was not sent"
    settled = command("settle", what, "settle Vase --answer answer.json")
    settled.add_argument("tasks", nargs="+", metavar="TASK", help=_TASK)
    settled.add_argument("--batch", type=Path, metavar="DIR", help="look the tasks up in this folder of a batch")
    way = settled.add_mutually_exclusive_group(required=True)
    way.add_argument("--answer", type=Path, metavar="FILE", help="follow it by the service's answer in this file")
    way.add_argument("--again", action="store_true", help="send it; what is uncertain may then be charged twice")
    way.add_argument("--discard", action="store_true", help="remove it from the list; it may have been charged")

    asked = command("status", "ask once for each key and print the status", "status - < key.txt")
    asked.add_argument("keys", nargs="+", metavar="KEY", help=_KEY)

    waited = command("wait", "follow until all are final, with live lines on standard error", "wait @keys.txt --json")
    waited.add_argument("keys", nargs="+", metavar="KEY", help=_KEY)
    waited.add_argument("--timeout", type=_number, metavar="S", help="give up waiting after S seconds")
    _add_exec(waited)
    waited.add_argument("--any", action="store_true", help="end when the first is final")
    waited.set_defaults(goes_on=False)

    example = "track - --name Vase < answer.json"
    tracked = command("track", "put tasks into the list that the window shows", example)
    tracked.add_argument("keys", nargs="+", metavar="KEY", help=_KEY)
    tracked.add_argument("--name", default="", help="the name in the list, for a single key")
    tracked.add_argument("--task-uuid", default="", metavar="UUID", help="for the download, for a single key")

    command("list", "print the list", "list --json")
    for name, what in (
        ("pause", "stop asking about tasks"),
        ("resume", "ask about tasks again"),
        ("forget", "remove tasks from the list; their files stay"),
    ):
        changed = command(name, what, f"{name} Vase")
        changed.add_argument("tasks", nargs="+", metavar="TASK", help=_TASK)
        if name == "forget":
            changed.add_argument("--files", action="store_true", help="delete what was downloaded for them, too")

    fetched = command("download", "save the files of finished tasks", "download Vase --to /show/assets")
    fetched.add_argument("tasks", nargs="+", metavar="TASK", help=_TASK)
    fetched.add_argument("--to", type=Path, metavar="DIR", help="have the tasks' folders here")
    what = "fetch all files anew, and replace those that are there"
    _add_exec(fetched)
    fetched.add_argument("--again", action="store_true", help=what)

    imported = command("import", "import models into a new .blend file, needs Blender", "import Vase --save vase.blend")
    imported.add_argument("tasks", nargs="+", metavar="TASK", help=f"{_TASK}, or the path of a model file")
    what = "look the tasks up in a batch's results.jsonl, not in the list"
    imported.add_argument("--from", dest="results", type=Path, metavar="FILE", help=what)
    what = "the file to write; for a folder, what the setting blend_template calls it there"
    imported.add_argument("--save", type=Path, required=True, metavar="FILE.blend", help=what)
    _add_exec(imported)
    imported.add_argument("--height", type=_number, metavar="M", help="scale to this height; 0 leaves it as it is")
    imported.add_argument("--asset", action="store_true", default=None, help="mark as assets")
    imported.add_argument("--join", action="store_true", default=None, help="make one mesh of a model's parts")
    what = "merge vertices that are no farther apart; 0 merges none"
    imported.add_argument("--merge-distance", type=_number, metavar="M", help=what)
    what = "keep textures in the .blend file, or in the folder textures beside it"
    imported.add_argument("--textures", choices=("packed", "beside"), help=what)
    what = "refuse a model that has more; 0 for no limit"
    imported.add_argument("--max-triangles", type=int, metavar="N", help=what)
    imported.add_argument("--thumbnail", type=Path, metavar="FILE.png", help="render a small picture (needs Cycles)")

    what = "generate, follow and download all rows of a table, each paid for once; run again, it goes on"
    batch = command("batch", what, "batch show.csv --to out")
    what = "CSV with a header, or JSON Lines: name; prompt, images and options, or subscription_key and task_uuid"
    batch.add_argument("file", type=Path, metavar="FILE", help=what)
    batch.add_argument("--to", type=Path, metavar="DIR", help="for the models, and results.jsonl")
    what = "tell each row, all that is wrong and the price (with --to of what is left), and send nothing"
    batch.add_argument("--check", action="store_true", help=what)
    what = "send no more when the rows of this folder have cost so many credits"
    batch.add_argument("--max-credits", type=_number, metavar="N", help=what)
    _add_exec(batch)
    what = "send rows once more that were rejected, failed or discarded; each is paid for again"
    batch.add_argument("--retry-failed", action="store_true", help=what)
    batch.add_argument("--timeout", type=_number, metavar="S", help="stop after S seconds")

    what = "print what was downloaded and how much room it takes; check it, or delete it"
    saved = command("files", what, "files --older-than 30d --delete --dry-run")
    saved.add_argument("tasks", nargs="*", metavar="TASK", help=f"{_TASK}; all unless given")
    what = "only tasks none of whose files was written for so long: 12h, 30d, 8w"
    saved.add_argument("--batch", type=Path, metavar="DIR", help="those of a batch in this folder")
    saved.add_argument("--older-than", type=_age, metavar="AGE", help=what)
    what = "read each file, and tell what is not as it was saved"
    saved.add_argument("--verify", action="store_true", help=what)
    what = "delete the files that were downloaded and not changed since; the tasks stay in the list"
    saved.add_argument("--delete", action="store_true", help=what)
    saved.add_argument("--dry-run", action="store_true", help="with --delete: tell what would be deleted")

    what = "print what generations have cost, by day, tier and outcome"
    spent = command("spending", what, "spending --since 2026-11-01")
    spent.add_argument("--since", type=_day, metavar="DATE", help="from this day on: YYYY-MM-DD")
    spent.add_argument("--batch", type=Path, metavar="DIR", help="what the rows of a batch have cost in this folder")

    command("balance", "print the account's balance, which costs nothing", "balance")
    command("doctor", "print what is configured and reachable, nothing secret, for a bug report", "doctor --json")
    return whole


def _add_exec(parser: argparse.ArgumentParser) -> None:
    what = "run this for each result, without a shell, with the result as JSON on its standard input"
    parser.add_argument("--exec", default="", metavar="COMMAND", help=what)


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what is to be made; - for standard input")
    what = "a picture of it, png, jpg or webp; once for each, the first decides the material"
    parser.add_argument("--image", type=Path, action="append", default=[], metavar="FILE", help=what)
    parser.add_argument("--name", default="", help="the name in the list, the prompt's beginning unless given")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="so many models of it, each paid for")
    parser.add_argument("--wait", action="store_true", help="follow until all are final")
    parser.add_argument("--to", type=Path, metavar="DIR", help="wait, and have the tasks' folders here")
    parser.add_argument("--timeout", type=_number, metavar="S", help="give up waiting after S seconds")
    _add_exec(parser)
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent and its price, send nothing")
    parser.add_argument("--max-credits", type=_number, metavar="N", help="refuse what would cost more, all in all")
    group = parser.add_argument_group("options of the generation, as the settings say unless given")
    for option in OPTIONS.values():
        choices = ", ".join(choice for choice in option.choices if choice)
        text = f"{option.description}{f' ({choices})' if choices else ''}".replace("%", "%%")
        metavar = "yes|no" if isinstance(option.default, bool) else "N" if isinstance(option.default, int) else "WORD"
        # The words are checked by the table, for all front ends alike; None says that it was not given.
        flag = f"--{option.name.replace('_', '-')}"
        group.add_argument(flag, dest=f"option_{option.name}", default=None, metavar=metavar, help=text)


def is_source(word: str) -> bool:
    """Whether it names a file of keys, or standard input."""
    return word == "-" or word.startswith("@")


def generations(words: list[str], api_key: Secret | None = None) -> tuple[list[Generation], list[str]]:
    """The tasks that these arguments name, without repetition, and what is to be told of error answers among them.

    Raises BadInput for anything else among them, and where there is no task.
    """
    found: dict[Secret, Generation] = {}
    refused: list[str] = []
    for word in words:
        source = ("standard input" if word == "-" else word[1:]) if is_source(word) else ""
        try:
            given = paste_parser.parse(_content(word) if source else word, api_key, LARGEST_FILE)
        except BadInput as error:
            raise BadInput(f"In {source}: {error}" if source else str(error)) from None
        if given.invalid:
            raise BadInput(f"Number {given.invalid[0].number} in {source or 'what was given'}: {given.invalid[0].text}")
        refused += (f"Number {trouble.number} in {source}: {trouble.text}" for trouble in given.refused)
        for generation in given.generations:
            found.setdefault(generation.subscription_key, generation)
    return list(found.values()), refused


def _content(word: str) -> str:
    return standard_input() if word == "-" else read(Path(word[1:]))


def standard_input() -> str:
    """All of it. Raises BadInput."""
    # A Blender on Windows may have no standard input.
    return _text(sys.stdin.buffer.read(LARGEST_FILE + 1), "standard input") if sys.stdin else ""


def read(path: Path) -> str:
    """The text of a file. Raises BadInput."""
    return _text(content(path), str(path))


def content(path: Path) -> bytes:
    """What is in a file of the user's. Raises BadInput."""
    try:
        with path.open("rb") as file:
            return _small_enough(file.read(LARGEST_FILE + 1), str(path))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {os_reason(error)}.") from None


def _small_enough(content: bytes, where: str) -> bytes:
    if len(content) > LARGEST_FILE:
        raise BadInput(f"There are more than {LARGEST_FILE >> 20} MB in {where}, far too much for keys.")
    return content


def _text(content: bytes, where: str) -> str:
    content = _small_enough(content, where)
    # What Windows PowerShell writes by > is UTF-16.
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except ValueError:
        raise BadInput(f"What is in {where} is no text in UTF-8.") from None


def _age(text: str) -> float:
    """Seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError("takes a number with h, d or w behind it: 12h, 30d, 8w")
    return float(match[1]) * {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}[match[2]]


def _day(text: str) -> float:
    """When the day began here, in seconds since the epoch."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError("takes a day such as 2026-11-01") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise argparse.ArgumentTypeError("takes a number that is not negative")
    return value
