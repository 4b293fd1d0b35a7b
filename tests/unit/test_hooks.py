# SPDX-License-Identifier: GPL-3.0-or-later
"""A studio's own functions and commands, called by the commands for what they see happen."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit import shell as shells
from tests.unit.shell import RUNNING, Shell, key_of
from tools.simulator import API_KEY

shell = shells.shell

NOTE = """
import json
from pathlib import Path
def note(kind, task):
    with Path({path!r}).open("a") as file:
        print(json.dumps([kind, task.name, task.status]), file=file)
    with Path({path!r} + ".codes").open("a") as file:
        print(task.code, file=file)
"""
TAKE = """
import json, sys
task = json.load(sys.stdin)
print("printed by the command")
with open({path!r}, "a") as file:
    print(json.dumps(task), file=file)
sys.exit(task["name"] in {failing!r})
"""


class Studio:
    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.path = shell.folder.parent / "called.jsonl"

    def hooks(self, more: str = "") -> str:
        """A file with a function for each list but the last, which notes that it was called."""
        names = ("submitted", "rejected", "updated", "done", "failed")
        functions = [f"def task_{name}(task): note({name!r}, task)" for name in names]
        functions.append("def download_done(task): note('downloaded', task)")
        return str(self.shell.file("hooks.py", "\n".join([NOTE.format(path=str(self.path)), *functions, more])))

    def command(self, *failing: str) -> str:
        """A command that notes what it is given, and fails for these tasks."""
        script = self.shell.file("take.py", TAKE.format(path=str(self.path), failing=failing))
        return shlex.join([sys.executable, str(script)])

    @property
    def called(self) -> list[Any]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    @property
    def codes(self) -> list[str]:
        """What was the matter, at each call."""
        return Path(f"{self.path}.codes").read_text().splitlines()

    @property
    def kinds(self) -> list[str]:
        """What was called, without the updates in between."""
        return [f"{kind} {name}" for kind, name, _ in self.called if kind != "updated"]


@pytest.fixture
def studio(shell: Shell) -> Studio:
    shell.simulator.story, shell.simulator.result_files = [[(0.0, "Done")]], shells.FILES
    return Studio(shell)


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["name"] for event in events]


# Functions.


def test_functions_of_a_file_are_called_for_all_that_happens(shell: Shell, studio: Studio) -> None:
    out = shell.folder.parent / "out"
    ran = shell.json("generate", "--prompt", "A vase", "--to", out, RODIN_HOOKS=studio.hooks())
    assert ran.code == 0, ran.err
    assert studio.kinds == ["submitted A vase", "done A vase", "downloaded A vase"]
    assert ["updated", "A vase", "DONE"] in studio.called


def test_they_are_called_by_a_batch_too(shell: Shell, studio: Studio) -> None:
    failed = shell.add([[(0.0, "Failed")]], prompt="A pot")
    table = shell.file(
        "show.jsonl", f'{{"name": "vase", "prompt": "A vase"}}\n{json.dumps({**failed, "name": "pot"})}\n'
    )
    shell.run("batch", table, "--to", shell.folder.parent / "out", RODIN_HOOKS=studio.hooks())
    assert sorted(studio.kinds) == ["done vase", "downloaded vase", "failed pot", "submitted vase"]


def test_they_are_called_for_what_a_command_itself_changes(shell: Shell, studio: Studio) -> None:
    shell.run("track", key_of(shell.add(RUNNING)), "--name", "A chair")
    shell.run("pause", "A chair", RODIN_HOOKS=studio.hooks())
    assert studio.called == [["updated", "A chair", "UNKNOWN"]]


def test_a_rejection_and_a_settled_one_are_told(shell: Shell, studio: Studio) -> None:
    hooks = studio.hooks()
    shell.simulator.fail("rodin", "refused-image-content-violation")
    shell.run("generate", "--prompt", "A flag", RODIN_HOOKS=hooks)
    assert studio.kinds == ["rejected A flag"]
    shell.simulator.fail("rodin", "taken-and-closed")
    assert shell.run("generate", "--prompt", "A bell", RODIN_HOOKS=hooks).code == 6
    assert studio.codes[-1] == "uncertain"
    answer = shell.file("answer.json", json.dumps(shell.add(prompt="A bell")))
    assert shell.run("settle", "A bell", "--answer", answer, RODIN_HOOKS=hooks).code == 0
    assert studio.kinds == ["rejected A flag", "submitted A bell"]


def test_one_that_fails_is_told_in_json_and_in_the_exit_code(shell: Shell, studio: Studio) -> None:
    hooks = studio.hooks("def task_done(task): raise KeyError('show')")
    ran = shell.json("wait", shell.keys(shell.add([[(0.0, "Done")]], prompt="A vase")), RODIN_HOOKS=hooks)
    assert ran.code == 7
    hook, task, error = ran.events
    assert (hook["event"], hook["hook"]) == ("hook", "task_done") and "task_done failed (KeyError)" in hook["text"]
    assert (task["event"], task["status"], error["exit"]) == ("task", "DONE", 7)


@pytest.mark.parametrize(
    "failing", ["def task_done(task): raise KeyError('my-token')", "task_done = len\nraise ValueError('my-token')"]
)
def test_the_log_has_where_one_failed_and_the_console_alone_what_it_says(
    shell: Shell, studio: Studio, failing: str
) -> None:
    log, hooks = shell.folder.parent / "rodin.log", shell.file("hooks.py", failing)
    ran = shell.run(
        "wait", shell.keys(shell.add([[(0.0, "Done")]])), RODIN_HOOKS=str(hooks), RODIN_LOG_FILE=str(log)
    )
    assert ran.code in (2, 7) and "Error: " in ran.err and "my-token" in ran.err
    assert "Error" in log.read_text() and "hooks.py:" in log.read_text() and "my-token" not in log.read_text()


def test_what_they_print_is_no_part_of_the_json(shell: Shell, studio: Studio) -> None:
    printing = "import os, sys\ndef task_done(task):\n    print('no end of line', end='')\n    os.write(1, b'nor here')"
    ran = shell.json(
        "wait", shell.keys(shell.add([[(0.0, "Done")]], prompt="A vase")), RODIN_HOOKS=studio.hooks(printing)
    )
    assert ran.event["name"] == "A vase", "each line is JSON"
    assert "no end of line" in ran.err and "nor here" in ran.err


@pytest.mark.parametrize(
    ("content", "told"),
    [("def task_don(task): pass", "no function called"), ("1 / 0", "ZeroDivisionError"), (None, "FileNotFoundError")],
)
def test_a_file_that_cannot_be_used_ends_a_command_before_it_begins(
    shell: Shell, content: str | None, told: str
) -> None:
    path = shell.file("hooks.py", content) if content else shell.folder / "none.py"
    # Its traceback is for whoever wrote it.
    process = shell.start("list", RODIN_HOOKS=str(path))
    _out, err = process.communicate(timeout=30)
    assert process.returncode == 2 and told in err.decode() and "RODIN_HOOKS" in err.decode()


# Commands.


def test_exec_runs_once_for_each_result_and_gets_it_as_json(shell: Shell, studio: Studio) -> None:
    done, failed = shell.add([[(0.0, "Done")]], prompt="A vase"), shell.add([[(0.0, "Failed")]], prompt="A pot")
    ran = shell.json("wait", shell.keys(done, failed), "--exec", studio.command())
    assert ran.code == 3
    assert sorted((task["name"], task["status"]) for task in studio.called) == [("A pot", "FAILED"), ("A vase", "DONE")]
    told = {event["name"]: event for event in ran.events if event["event"] == "task"}
    assert {task["name"]: task for task in studio.called} == told, "it gets what is told"
    assert "printed by the command" in ran.err and "printed by the command" not in ran.out
    given = studio.path.read_text()
    assert not [secret for secret in (API_KEY, key_of(done), key_of(failed)) if secret in given]


def test_exec_of_generate_runs_when_the_files_are_there(shell: Shell, studio: Studio) -> None:
    out = shell.folder.parent / "out"
    ran = shell.json("generate", "--prompt", "A vase", "--to", out, "--exec", studio.command())
    assert ran.code == 0, ran.err
    (task,) = studio.called
    assert Path(task["folder"]).parent == out and task["downloaded"] and task["files"]


def test_exec_of_download_runs_for_what_was_saved_before_too(shell: Shell, studio: Studio) -> None:
    shell.run("track", "-", stdin=json.dumps(shell.add([[(0.0, "Done")]], prompt="A vase")))
    for _ in range(2):
        assert shell.run("download", "A vase", "--exec", studio.command()).code == 0
    assert names(studio.called) == ["A vase", "A vase"]


def test_a_command_that_fails_is_told_and_keeps_nothing_from_going_on(shell: Shell, studio: Studio) -> None:
    answers = [shell.add([[(0.0, "Done")]], prompt=name) for name in ("A vase", "A pot", "A bell")]
    ran = shell.json("wait", shell.keys(*answers), "--exec", studio.command("A pot"))
    assert ran.code == 7 and len(studio.called) == 3
    (hook,) = (event for event in ran.events if event["event"] == "hook")
    assert (hook["hook"], hook["name"]) == ("exec", "A pot") and "exit code 1" in hook["text"]


def test_a_batch_runs_it_once_for_each_result_and_again_where_it_failed(shell: Shell, studio: Studio) -> None:
    table = shell.file("show.csv", "name,prompt\nvase,A vase\npot,A pot\n")
    out = shell.folder.parent / "out"
    assert shell.run("batch", table, "--to", out).code == 0
    ran = shell.json("batch", table, "--to", out, "--exec", studio.command("pot"))
    assert ran.code == 7 and sorted(names(studio.called)) == ["pot", "vase"], "also for results of an earlier run"
    assert sorted(task["prompt"] for task in studio.called) == ["A pot", "A vase"], "as whole as at the first time"
    assert all(task["downloaded"] and task["files"] and task["credits"] == 0.5 for task in studio.called)
    (out / "executed.jsonl").open("a").write("[]\n{\n")
    for _ in range(2):
        # The same command, which does not fail any more.
        ran = shell.run("batch", table, "--to", out, "--exec", studio.command())
        assert ran.code == 0, ran.err
    assert sorted(names(studio.called)) == ["pot", "pot", "vase"]
    assert len(shell.simulator.submissions) == 2


@pytest.mark.parametrize("command", ["no-such-program --fast", "'not closed", " "])
def test_a_command_that_is_none_ends_it_before_anything_is_paid_for(shell: Shell, command: str) -> None:
    ran = shell.json("generate", "--prompt", "A vase", "--wait", "--exec", command)
    assert (ran.code, ran.event["exit"], len(shell.simulator.submissions)) == (2, 2, 0)


def test_exec_needs_a_result(shell: Shell, studio: Studio) -> None:
    ran = shell.run("generate", "--prompt", "A vase", "--exec", studio.command())
    assert ran.code == 2 and "--wait or --to" in ran.err and not shell.simulator.submissions


def test_no_shell_reads_what_a_task_is_called(shell: Shell, studio: Studio) -> None:
    name = "'; touch /tmp/never; echo '"
    shell.run("wait", shell.keys(shell.add([[(0.0, "Done")]], prompt=name)), "--exec", studio.command() + " $HOME")
    assert names(studio.called) == [name]


def test_ctrl_c_ends_the_command_that_runs(shell: Shell) -> None:
    script = shell.file("slow.py", "import pathlib, sys, time\npathlib.Path(sys.argv[1]).touch()\ntime.sleep(60)")
    began = shell.folder.parent / "began"
    command = shlex.join([sys.executable, str(script), str(began)])
    key = shell.keys(shell.add([[(0.0, "Done")]], prompt="A vase"))
    ran = shell.interrupted("wait", key, "--exec", command, when=began.exists)
    assert ran.code == 130


# Where things are written.


def test_a_place_that_cannot_be_written_is_told_before_anything_is_paid_for(shell: Shell) -> None:
    file = shell.file("taken", "")
    ran = shell.run("generate", "--prompt", "A vase", "--to", file)
    assert ran.code == 2 and "there is a file of that name" in ran.err
    ran = shell.run("generate", "--prompt", "A vase", "--to", file / "below")
    assert ran.code == 1 and "Nothing can be written into" in ran.err
    assert not shell.simulator.submissions
