# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as a user runs it: the real program in another process, with its output read in full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rodin_blender import handlers
from tests.unit.forking import READ_AT_START, Forked
from tools.simulator import API_KEY, Simulator

ROOT = Path(__file__).parents[2]
GLB = b"glTF\x02\x00\x00\x00\x10\x00\x00\x00abcd"
"""As small as a file can be that says it is whole."""
FILES = {"base_basic_pbr.glb": GLB, "preview.webp": b"RIFF\x04\x00\x00\x00WEBP"}
RUNNING = [(0.0, "Generating")]
"""A job that runs until the simulator is told to end it."""
LONGEST = 40.0

PROGRAM = "import runpy; runpy.run_module('rodin_blender', run_name='__main__', alter_sys=True)"
FAST = """
import sys
from rodin_blender.command_line import batch_run, main
from rodin_blender.command_line.host import plain
from dataclasses import replace
from rodin_blender.configuration import FIELDS
batch_run.COUNT_EVERY = 1.0
FIELDS["requests_per_minute"] = replace(FIELDS["requests_per_minute"], default=100_000)
sys.exit(main.run(sys.argv[1:], plain, own_process=True))
"""
"""The program, with so large a budget of requests that a test with many tasks is over soon."""


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was printed with --json; each line is checked to be what the schema describes."""
        found = [json.loads(line) for line in self.out.splitlines()]
        for event in found:
            check_event(event)
        return found

    @property
    def event(self) -> dict[str, Any]:
        (only,) = self.events
        return only


@dataclass
class Shell:
    """Runs commands on a list of its own against a simulator."""

    simulator: Simulator
    folder: Path
    environment: dict[str, str]
    printed: list[str] = field(default_factory=list)

    def start(
        self, *words: object, fast: bool = False, forked: bool = True, **environment: str | None
    ) -> subprocess.Popen[bytes]:
        """A test that is about how a program is started has it not forked."""
        variables = {name: value for name, value in {**self.environment, **environment}.items() if value is not None}
        if forked and sys.platform == "linux" and not any(name.startswith(READ_AT_START) for name in environment):
            return Forked(FAST if fast else PROGRAM, [*map(str, words)], variables)
        program = ["-c", FAST] if fast else ["-m", "rodin_blender"]
        return subprocess.Popen(
            [sys.executable, *program, *map(str, words)],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What a shell starts in the background, such as a CI's run, ignores Ctrl+C, and so do its children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )

    def end(self, process: subprocess.Popen[bytes], stdin: bytes = b"") -> Ran:
        try:
            out, err = process.communicate(stdin, timeout=LONGEST)
        finally:
            process.kill()
        ran = Ran(process.returncode, out.decode(), err.decode())
        self.printed += [ran.out, ran.err]
        assert "Traceback" not in ran.err, ran.err
        return ran

    def run(self, *words: object, stdin: bytes | str = b"", fast: bool = False, **environment: str | None) -> Ran:
        content = stdin.encode() if isinstance(stdin, str) else stdin
        return self.end(self.start(*words, fast=fast, **environment), content)

    def json(self, *words: object, **how: Any) -> Ran:
        return self.run(*words, "--json", **how)

    def interrupted(self, *words: object, when: Callable[[], object], **how: Any) -> Ran:
        """Ctrl+C as soon as something is so."""
        process = self.start(*words, **how)
        wait_until(when)
        process.send_signal(signal.SIGINT)
        return self.end(process)

    def add(self, story: Any = "done", *, prompt: str = "", **values: Any) -> dict[str, Any]:
        """A task of the service with small files. Returns the generation answer."""
        return self.simulator.add(story, prompt=prompt, **{"files": FILES, **values})

    def file(self, name: str, content: str | bytes) -> Path:
        """A file of the user, which may hold keys."""
        path = self.folder.parent / "given" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def keys(self, *answers: dict[str, Any]) -> str:
        """An argument that names the keys of these tasks."""
        name = f"keys-{answers[0]['uuid']}.jsonl"
        return f"@{self.file(name, ''.join(json.dumps(answer) + chr(10) for answer in answers))}"

    def secrets(self) -> set[str]:
        return {API_KEY, *self.simulator._tasks}


def results_in(folder: Path) -> list[dict[str, Any]]:
    """What a batch has written so far; each line is checked to be what the schema describes."""
    path = folder / "results.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for result in found:
        check_event(result)
    return found


def key_of(answer: dict[str, Any]) -> str:
    return str(answer["jobs"]["subscription_key"])


def wait_until(true: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def shell(tmp_path: Path, simulator: Simulator) -> Iterator[Shell]:
    """In the end no key is in what was printed, nor in any file but the lists, answers and what the user gave."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RODIN_", "HYPER3D_"))}
    environment |= {
        "RODIN_FOLDER": str(tmp_path / "rodin"),
        "RODIN_API_URL": simulator.url,
        "RODIN_API_KEY": API_KEY,
        "RODIN_SHORTEST_INTERVAL": "1",
        "RODIN_LONGEST_INTERVAL": "1",
    }
    made = Shell(simulator, tmp_path / "rodin", environment)
    yield made
    assert not told_keys(made, tmp_path)


def told_keys(shell: Shell, folder: Path) -> list[str]:
    """Where keys are that should not be there."""
    secrets = [secret.encode() for secret in shell.secrets()]
    found = [text for text in shell.printed if any(secret in text.encode() for secret in secrets)]
    for path in folder.rglob("*"):
        kept = path.name.startswith("tasks.") or path.suffix == ".answer"
        if path.is_file() and "given" not in path.parts and not kept:
            content = path.read_bytes()
            found += [str(path)] * any(secret in content for secret in secrets)
    return found


# The schema of --json, as `command_line.output` describes it, strictly: every member is here, and no other comes.

TASK = {
    "task_id": str,
    "name": str,
    "task_uuid": str,
    "status": {
        "UNSENT", "SENDING", "UNCERTAIN", "REJECTED", "UNKNOWN", "WAITING", "GENERATING", "DONE", "PARTLY_FAILED",
        "FAILED",
    },
    "watch": {"FOLLOWING", "PAUSED", "OVERDUE", "REFUSED"},
    "message": str,
    "code": str,
    "jobs": [{"uuid": str, "status": str}],
    "jobs_done": int,
    "jobs_total": int,
    "tracked_at": float,
    "finished_at": float,
    "folder": str,
    "downloaded": bool,
    "kind": {"", "generate"},
    "parent": str,
    "prompt": str,
    "options": {...: (str, int, bool)},
    "price": float,
    "credits": (float, type(None)),
    "files": [{"name": str, "size": int, "sha256": str}],
}
EVENTS: dict[str, dict[str, Any]] = {
    "task": TASK,
    "result": TASK,
    "import": {**TASK, "model": str, "blend": str, "thumbnail": str, "text": str},
    "row": {
        "number": int, "line": int, "name": str, "task_id": str, "task_uuid": str, "price": float, "begun": bool, "text": str,
    },
    "plan": {"rows": int, "generate": int, "left": int, "price": float, "spent": float},
    "wrong": {"line": int, "text": str},
    "account": {"balance": float},
    "files": {
        "task_id": str, "name": str, "folder": str, "files": int, "size": int, "age": (float, type(None)), "wrong": {...: str},
        "deleted": [str], "freed": int, "trouble": str,
    },
    "spending": {
        "day": str, "tier": str, "outcome": str, "tasks": int, "credits": float, "expected": float, "uncertain": float,
    },
    "spent": {"tasks": int, "credits": float, "expected": float, "uncertain": float},
    "submission": {"fields": {...: str}, "images": [str], "price": float},
    "hook": {"hook": {"exec", *handlers.LISTS}, "task_id": str, "name": str, "text": str},
    "error": {"text": str, "code": str, "exit": {1, 2, 3, 4, 5, 6, 7, 130}},
    "doctor": {
        "system": str,
        "versions": {...: str},
        "settings": {...: ({"value": (str, float, bool, int), "source": str, "locked": bool, "ignored": str}, {"trouble": str})},
        "environment": {...: str},
        "list": {"path": str, "tasks": (int, type(None)), "trouble": str},
        "service": {"address": str, "ok": bool, "text": str},
        "files": {"path": str, "trouble": str},
        "hooks": {"path": str, "trouble": str},
        "folders": {...: {"path": str, "trouble": str}},
        "certificates": {"trusted": str, "trouble": str},
        "faults": [str],
    },
}


def check_event(event: dict[str, Any]) -> None:
    members = EVENTS[event["event"]]
    assert fits(event, {"schema": {1}, "event": {event["event"]}, **members}), event


def fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, type):
        return type(value) is wanted
    if isinstance(wanted, tuple):
        return any(fits(value, one) for one in wanted)
    if isinstance(wanted, set):
        return value in wanted
    if isinstance(wanted, list):
        return isinstance(value, list) and all(fits(one, wanted[0]) for one in value)
    if not isinstance(value, dict):
        return False
    if ... in wanted:
        return all(isinstance(name, str) and fits(one, wanted[...]) for name, one in value.items())
    return value.keys() == wanted.keys() and all(fits(value[name], wanted[name]) for name in wanted)
