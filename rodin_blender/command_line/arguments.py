# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands and their arguments, and the keys that come from a file or from standard input."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..service import keys
from ..service.errors import BadInput, os_reason
from ..service.keys import Generation

_KEY = (
    "a subscription key; @FILE for a file of them, one a line, or of generation answers; - for standard input, "
    "so that keys need not stand in the list of processes"
)
_TASK = "a task's id or its name in the list"
_CODES = (
    "exit codes: 0 all done, 1 trouble in asking, 2 wrong usage or settings, 3 a task failed, 4 time ran out, "
    "5 offline access not allowed, 130 interrupted"
)


def parser(program: str) -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog=program, description="Follow Rodin (Hyper3D) tasks, and fetch their models.", epilog=_CODES
    )
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, what: str, example: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=f"example: {program} {example}"
        )
        made.add_argument("--json", action="store_true", help="one JSON object a line on standard output (schema 1)")
        return made

    asked = command("status", "ask once for each key and print the status", "status - < key.txt")
    asked.add_argument("keys", nargs="+", metavar="KEY", help=_KEY)

    waited = command("wait", "follow until all are final, with live lines on standard error", "wait @keys.txt --json")
    waited.add_argument("keys", nargs="+", metavar="KEY", help=f"{_KEY}; or {_TASK}")
    waited.add_argument("--timeout", type=_seconds, metavar="S", help="give up waiting after S seconds")
    waited.add_argument("--any", action="store_true", help="end when the first is final")

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
        command(name, what, f"{name} Vase").add_argument("tasks", nargs="+", metavar="TASK", help=_TASK)

    fetched = command("download", "save the files of finished tasks", "download Vase --to /show/assets")
    fetched.add_argument("tasks", nargs="+", metavar="TASK", help=_TASK)
    fetched.add_argument("--to", type=Path, metavar="DIR", help="make the tasks' folders here")

    imported = command("import", "import models into a new .blend file, needs Blender", "import Vase --save vase.blend")
    imported.add_argument("tasks", nargs="+", metavar="TASK", help=f"{_TASK}, or the path of a model file")
    imported.add_argument("--save", type=Path, required=True, metavar="FILE.blend")
    imported.add_argument("--height", type=float, metavar="M", help="scale to this height")
    imported.add_argument("--asset", action="store_true", default=None, help="mark as assets")
    imported.add_argument("--thumbnail", type=Path, metavar="FILE.png", help="render a small picture (needs Cycles)")

    what = "follow and download all tasks of a file; run again, it goes on"
    batch = command("batch", what, "batch show.csv --to out")
    batch.add_argument(
        "file", type=Path, metavar="FILE", help="CSV with a header, or JSON Lines: name, subscription_key, task_uuid"
    )
    batch.add_argument("--to", type=Path, required=True, metavar="DIR", help="for the models, and results.jsonl")
    batch.add_argument("--timeout", type=_seconds, metavar="S", help="stop after S seconds")

    command("balance", "print the account's balance, which costs nothing", "balance")
    command("doctor", "print what is configured and reachable, nothing secret, for a bug report", "doctor --json")
    return whole


def generations(words: list[str]) -> list[Generation]:
    """The keys that these arguments name, without repetition. Raises BadInput."""
    found: dict[keys.Secret, Generation] = {}
    for word in words:
        for text in _texts(word):
            generation = keys.pasted(text)
            found.setdefault(generation.subscription_key, generation)
    if not found:
        raise BadInput("There is no subscription key in what was given.")
    return list(found.values())


def _texts(word: str) -> list[str]:
    """The keys and answers behind one argument, each as text."""
    if word == "-":
        content = sys.stdin.read()
    elif word.startswith("@"):
        content = read(Path(word[1:]))
    else:
        return [word]
    # A generation answer may be spread over lines; keys and answers of several tasks are one a line.
    if content.lstrip().startswith("{"):
        try:
            keys.pasted(content)
            return [content]
        except BadInput:
            pass
    return [line for line in content.splitlines() if line.strip()]


def read(path: Path) -> str:
    """The text of a file. Raises BadInput."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {os_reason(error)}.") from None
    except ValueError:
        raise BadInput(f"{path} is no text in UTF-8.") from None


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise ValueError
    return value
