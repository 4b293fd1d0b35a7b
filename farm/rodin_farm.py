#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two commands of a farm's job around `blender --command rodin`: see README.md beside this file.

    python3 rodin_farm.py generate --batch-file FILE --models COUNT --folder FOLDER
    python3 rodin_farm.py import --models 7 --folder FOLDER

`generate` sends what the file says in words and pictures, each row once, follows and downloads all, and numbers the
models in FOLDER/models.jsonl as the file has them, the first is 1. `import` makes of each of these numbers a .blend
file, a picture and a line of JSON in FOLDER/models. Any Python from 3.9 on runs it, with nothing installed.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

DONE, TROUBLE, USAGE, FAILED, TIME_RAN_OUT, UNCERTAIN, HOOK = 0, 1, 2, 3, 4, 6, 7
"""Exit codes of the command line, and of this script."""
UNRESOLVED = {"REJECTED": FAILED, "UNCERTAIN": UNCERTAIN}
"""What a row that came to no result means for its import, by its status."""
ATTEMPTS = 3
AT_WORK = "Another batch is at work"
"""What `batch` says where one that a farm has killed by force left a Blender behind, which ends by itself soon."""


class Ended(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class Told:
    """What a command line has said: its events, its last error, and the last line of anything else."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.error = self.hook = self.last = ""

    def take(self, line: str) -> None:
        said = None
        with suppress(ValueError):
            said = json.loads(line)
        if not isinstance(said, dict):
            self.last = line.strip() or self.last
            return
        self.events.append(said)
        if said.get("event") == "error":
            self.error = str(said.get("text"))
        elif said.get("event") == "hook":
            self.hook = str(said.get("text"))


def generate(given: argparse.Namespace) -> int:
    """Succeeds when the models that can be had are there: one that cannot is to fail its own import, not all others.

    Where a function of the user's has failed it ends with that, after all else is done.
    """
    rows = _rows(given)
    if len(rows) != given.models:
        raise Ended(USAGE, f"{given.batch_file} lists {len(rows)} models, and the job was made for {given.models}.")
    batch = [given.blender, "--background", "--online-mode", "--command", "rodin", "batch", given.batch_file]
    if given.max_credits:
        batch += ["--max-credits", f"{given.max_credits:g}"]
    if given.retry_failed == "yes":
        batch += ["--retry-failed"]
    until = time.monotonic() + given.hours * 3600.0
    attempt, hook = 0, ""
    while True:
        left = max(until - time.monotonic(), 1.0)
        code, told = _run([*batch, "--to", given.folder, "--timeout", f"{left:.0f}", "--json"])
        attempt += not told.error.startswith(AT_WORK)
        # It is not called once more for what was told to it in an earlier attempt.
        hook = hook or told.hook
        if code != TROUBLE or attempt == ATTEMPTS or time.monotonic() > until:
            break
        # Each of those left had its own tries. But a network that was down for a while has them all stopped.
        say(f"Once more in {given.pause:g} s.")
        time.sleep(given.pause)
        # Once is enough of what is paid for each time.
        batch = [word for word in batch if word != "--retry-failed"]
    results = _lines(given.folder / "results.jsonl")
    unresolved = {event["name"]: event for event in told.events if event.get("event") == "task"}
    matched = ((number, _result(row, results) or _why(row, unresolved)) for number, row in enumerate(rows, 1))
    found = [{"number": number, **result} for number, result in matched if result]
    made = [model for model in found if "why" not in model]
    # Credits that ran out are told of rows; wrong usage ends it before there is any.
    usual = code in (DONE, TROUBLE, FAILED, TIME_RAN_OUT, UNCERTAIN, HOOK) or (code == USAGE and unresolved)
    if not usual or not made:
        raise Ended(code if 0 < code < 256 else TROUBLE, told.error or _died(code, told))
    _write(given.folder / "models.jsonl", "".join(json.dumps(model) + "\n" for model in found))
    say(f"{len(made)} of {len(rows)} models have a result.")
    if len(made) < len(rows):
        say("Import the others after another run of this task, which goes on with them.")
    if code != DONE:
        say(told.error)
    if hook:
        say(hook)
    return HOOK if hook else DONE


def _why(row: dict[str, Any], unresolved: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """Why a row has no result, as the last run told it by the row's name."""
    event = unresolved.get(row["name"])
    if event is None:
        return None
    return {**{name: event[name] for name in ("task_id", "name", "task_uuid", "status")}, "why": event["message"]}


def _died(code: int, told: Told) -> str:
    said = f" The last that it said: {told.last}" if told.last else ""
    return f"Blender ended with {code}.{said}" if code else "There are no results."


def import_models(given: argparse.Namespace) -> int:
    """Goes on after a model that failed, and ends with the highest exit code."""
    known = {model["number"]: model for model in _lines(given.folder / "models.jsonl")}
    return max(_import_and_note(number, known.get(number), given) for number in given.models)


def _import_and_note(number: int, model: dict[str, Any] | None, given: argparse.Namespace) -> int:
    """One model, in a Blender of its own. A line of JSON tells how it went."""
    folder = given.folder / "models"
    folder.mkdir(exist_ok=True)
    name = model["name"] if model else ""
    note = {"number": number, "name": name, "task_uuid": model["task_uuid"] if model else ""}
    began = time.monotonic()
    try:
        if model is None:
            raise Ended(TROUBLE, "It has no result. Run the task that generates and downloads again, then this one.")
        if "why" in model:
            raise Ended(UNRESOLVED.get(model["status"], TROUBLE), model["why"] or "It has no result.")
        stem = stem_of(number, name)
        note |= _import(model["task_id"], folder, stem, given)
        code, text = DONE, ""
    except Ended as ended:
        code, text = ended.code, str(ended)
        if code == TROUBLE and model and "why" not in model:
            text += " Where its files are at fault, run the task that generates and downloads again, then this one."
        say(f"Model {number}{f' ({name})' if name else ''}: {text}")
    note |= {"ok": code == DONE, "exit": code, "text": text, "seconds": round(time.monotonic() - began, 1)}
    line = json.dumps(note)
    _write(folder / f"{number:04}.json", line + "\n")
    print(line, flush=True)
    return code


def stem_of(number: int, name: str) -> str:
    """What the files of a model are called: letters and digits of every script are kept."""
    # Composed, since some systems take composed and decomposed letters for two names.
    word = re.sub(r"[^\w-]+", "-", unicodedata.normalize("NFC", name)).strip("-")[:60]
    return f"{number:04}-{word}".rstrip("-")


def _import(task_id: str, folder: Path, stem: str, given: argparse.Namespace) -> dict[str, str]:
    """A file has its name when it is whole; what was made before stays until then."""
    made = {"blend": folder / f"{stem}.blend"}
    if given.thumbnail == "yes":
        made["thumbnail"] = folder / f"{stem}.png"
    parts = {kind: path.with_name(f".{path.stem}.part{path.suffix}") for kind, path in made.items()}
    command = [given.blender, "--background", "--command", "rodin", "import", task_id, "--save", parts["blend"]]
    command += ["--from", given.folder / "results.jsonl"]
    if given.height:
        command += ["--height", str(given.height)]
    if given.asset == "yes":
        command += ["--asset"]
    if "thumbnail" in parts:
        command += ["--thumbnail", parts["thumbnail"]]
    try:
        code, told = _run([*command, "--json"])
        if code not in (DONE, HOOK):
            raise Ended(code if 0 < code < 256 else TROUBLE, told.error or _died(code, told))
        for kind, part in parts.items():
            if not part.is_file():
                raise Ended(TROUBLE, f"Blender wrote no {made[kind].name}.")
            _put(part, made[kind])
        if code == HOOK:
            # Its files are there.
            raise Ended(HOOK, told.hook or told.error)
    finally:
        for part in parts.values():
            with suppress(FileNotFoundError):
                part.unlink()
    return {kind: str(path) for kind, path in made.items()}


def _result(row: dict[str, Any], results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last result of a row of the batch file: of its task, or of one that took that one's place."""
    ids, found = {row["task_id"]} - {""}, None
    for result in results:
        if result["task_id"] in ids or result.get("parent") in ids or result["task_uuid"] == row["task_uuid"] != "":
            ids.add(result["task_id"])
            found = result
    return found


def _rows(given: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of a batch file as `batch` itself reads it. Raises Ended."""
    command = [given.blender, "--background", "--command", "rodin", "batch", given.batch_file, "--check", "--json"]
    code, told = _run(command, aloud=False)
    if code != DONE:
        wrong = [str(event["text"]) for event in told.events if event.get("event") == "wrong"]
        raise Ended(code if 0 < code < 256 else TROUBLE, "\n".join([*wrong, told.error or _died(code, told)]))
    for event in told.events:
        if event.get("event") == "plan" and event["generate"]:
            say(f"{event['generate']} of {event['rows']} models are generated, for about {event['price']:g} credits.")
    return [event for event in told.events if event.get("event") == "row"]


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        return []


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    _put(part, path)


def _put(part: Path, path: Path) -> None:
    """Give a whole file its name. On Windows a virus scanner that reads a new file keeps it from that for a moment."""
    for pause in (0.2, 0.4, 0.8, 1.6, 3.2, 0.0):
        try:
            part.replace(path)
            return
        except PermissionError:
            if not pause:
                raise
            time.sleep(pause)


def _run(command: list[str | Path], *, aloud: bool = True) -> tuple[int, Told]:
    """Its exit code, and what it said, which is passed on unless it is not to be `aloud`."""
    told = Told()
    with _process([str(word) for word in command]) as running:
        for line in running.stdout or ():
            if aloud:
                print(line, end="", flush=True)
            told.take(line)
        return running.wait(), told


@contextmanager
def _process(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is ended on the way out, also when the farm ends this one."""
    try:
        running = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise Ended(USAGE, f"{command[0]} cannot be started: {error.strerror}.") from None
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10.0)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _numbers(text: str) -> list[int]:
    """Open Job Description's ranges: 7, 1-12, 3,5,9-15:2."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4})(?::(\d{1,4}))?)?", part.strip())
        if not match:
            raise ValueError
        first, last, step = match.groups()
        numbers = range(int(first), int(last or first) + 1, int(step or 1))
        if not numbers:
            raise ValueError
        found += numbers
    return found


def _amount(text: str) -> float:
    # Open Job Description's own tool lets values below a least one of 0 through (openjd-model 0.13).
    value = float(text)
    if not 0.0 <= value <= 1e6:
        raise ValueError
    return value


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    generating = commands.add_parser("generate")
    generating.add_argument("--batch-file", type=Path, required=True)
    generating.add_argument("--models", type=int, required=True, help="how many the file lists")
    generating.add_argument("--max-credits", type=_amount, default=0.0, metavar="N", help="0 for no limit")
    generating.add_argument("--retry-failed", choices=("yes", "no"), default="no", help="each is paid for again")
    generating.add_argument("--hours", type=float, default=24.0, help="give up those that are not ready then")
    generating.add_argument("--pause", type=float, default=30.0, help="seconds before another try after trouble")
    importing = commands.add_parser("import")
    importing.add_argument(
        "--models", type=_numbers, required=True, metavar="NUMBERS", help="their numbers: 7, or 1-12, or 3,5,9-15:2"
    )
    importing.add_argument("--height", type=_amount, default=0.0, metavar="M")
    importing.add_argument("--asset", choices=("yes", "no"), default="no")
    importing.add_argument("--thumbnail", choices=("yes", "no"), default="yes")
    for command in (generating, importing):
        command.add_argument("--folder", type=Path, required=True)
        command.add_argument("--blender", default="blender", help="with the extension installed and enabled")
    given = parser.parse_args()
    given.folder = given.folder.absolute()
    # So that the Blender begun here is ended then, too.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        return generate(given) if given.command == "generate" else import_models(given)
    except Ended as ended:
        say(str(ended))
        return ended.code
    except OSError as error:
        say(f"{error.filename}: {error.strerror}.")
        return TROUBLE


if __name__ == "__main__":
    sys.exit(main())
