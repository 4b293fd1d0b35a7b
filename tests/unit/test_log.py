# SPDX-License-Identifier: GPL-3.0-or-later
"""The log: a line for each submission, end and trouble, with user and computer, never a key, off the calling thread."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.configuration import FIELDS, Setting, logs
from rodin_blender.service.errors import frames
from rodin_blender.service.keys import Secret
from rodin_blender.storage import log_file
from rodin_blender.storage.log_file import LogFile
from rodin_blender.tasks.task import Status, Task
from rodin_blender.texts.text import Trouble
from rodin_blender.tracking import log
from tests.unit import test_submitting
from tests.unit.shell import ROOT, Shell, shell
from tests.unit.test_submitting import Generating
from tests.unit.watching import wait_until
from tools.simulator import API_KEY, Simulator

__all__ = ["shell"]

simulator, folder, begin = test_submitting.simulator, test_submitting.folder, test_submitting.begin
LOGGER = logging.getLogger("rodin_blender")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def no_writer() -> bool:
    return not any(thread.name == "rodin-log" for thread in threading.enumerate())


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[Path]:
    """The log of what happens while the test runs. In the end there is neither a handler nor a thread."""
    made, path = logs.Logging(), tmp_path / "log" / "rodin.jsonl"
    given = {"log_file": str(path), "log_json": True}
    made.configure(lambda name: Setting(given.get(name, FIELDS[name].default), "$RODIN_X"))
    yield path
    made.end()
    wait_until(no_writer)
    assert not LOGGER.handlers and LOGGER.level == logging.NOTSET


def test_a_submission_its_end_and_its_trouble_are_a_line_each(
    begin: Callable[..., Generating], simulator: Simulator, logged: Path
) -> None:
    watched = begin()
    task_id = watched.generate("A very secret prompt")
    watched.until(task_id, Status.DONE)
    simulator.fail("rodin", "refused-insufficient-fund")
    refused = watched.generate("A very secret prompt")
    watched.until(refused, Status.REJECTED)
    wait_until(lambda: len(lines(logged)) >= 3 and no_writer())
    mine = [line for line in lines(logged) if line.get("task_id") == task_id]
    assert [line["event"] for line in mine] == ["submitted", "ended"]
    assert mine[0]["credits"] == 0.5 and mine[0]["tier"] and mine[0]["task_uuid"] and mine[0]["user"] and mine[0]["host"]
    assert mine[1]["status"] == "DONE" and mine[1]["level"] == "INFO" and mine[1]["time"].endswith("Z")
    (rejected,) = [line for line in lines(logged) if line.get("task_id") == refused]
    assert rejected["event"] == "rejected" and "too few credits" in rejected["text"] and rejected["level"] == "WARNING"
    told = logged.read_text()
    assert "secret prompt" not in told and API_KEY not in told
    assert not any(key in told for key in simulator._tasks), "no subscription key"


def test_prompts_are_logged_where_that_is_allowed(begin: Callable[..., Generating], logged: Path) -> None:
    watched = begin(log_prompts=True)
    watched.until(watched.generate("A glazed vase"), Status.DONE)
    wait_until(lambda: len(lines(logged)) == 2)
    assert all(line["prompt"] == line["name"] == "A glazed vase" for line in lines(logged))


def test_what_another_program_did_is_logged_by_that_one_only(begin: Callable[..., Generating], logged: Path) -> None:
    first, second = begin(), begin()
    task_id = first.generate()
    first.until(task_id, Status.DONE)
    second.until(task_id, Status.DONE)
    wait_until(lambda: any(line["event"] == "ended" for line in lines(logged)))
    time.sleep(0.3)
    # On a busy machine the first attempt to connect may take too long, which is a trouble of its own.
    events = [line["event"] for line in lines(logged) if line.get("code") != "not_sent"]
    assert sorted(events) == ["ended", "submitted"], lines(logged)


def test_no_quoted_name_and_no_prompt_is_in_a_text(caplog: pytest.LogCaptureFixture) -> None:
    task = Task("t", "Anna's vase", Secret("k" * 40), status=Status.WAITING, kind="generate", prompt="Anna's vase")
    with caplog.at_level(logging.INFO, logger="rodin_blender"):
        told = replace(task, trouble=Trouble("refused", "The service says no to Anna's vase. 'Anna's vase' stays."))
        log.TaskLog().changed(task, told)
    (record,) = caplog.records
    assert "vase" not in record.getMessage() and "vase" not in str(record.fields)  # type: ignore[attr-defined]


def test_what_an_exception_says_is_left_out() -> None:
    try:
        raise ValueError("a secret")
    except ValueError as error:
        told = frames(error)
    assert "test_log.py" in told and "secret" not in told


def test_two_programs_share_a_file_that_is_rotated_and_no_line_is_lost_or_cut(tmp_path: Path) -> None:
    path = tmp_path / "rodin.log"
    program = f"""
import logging, sys
from pathlib import Path
from rodin_blender.storage import log_file
log_file.MAX_BYTES, log_file.BACKUP_COUNT, log_file.LOCK_TIMEOUT = 20_000, 50, 30.0
log = logging.getLogger("x")
log.setLevel("INFO")
log.addHandler(log_file.LogFile(Path({str(path)!r}), as_json=True))
for number in range(300):
    log.info("", extra={{"fields": {{"event": "test", "who": sys.argv[1], "number": number, "text": "x" * 50}}}})
    if not number % 20:
        import time; time.sleep(0.01)
"""
    running = [subprocess.Popen([sys.executable, "-c", program, who], cwd=ROOT) for who in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    files = [*tmp_path.glob("rodin.log*")]
    found = [(line["who"], line["number"]) for file in files for line in lines(file)]
    assert sorted(found) == sorted((who, number) for who in "ab" for number in range(300))
    assert len(files) > 3 and not [*tmp_path.glob(".*")]


def test_the_caller_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_it, go_on, by = threading.Event(), threading.Event(), []

    def slow(self: LogFile, content: bytes) -> None:
        by.append(threading.current_thread().name)
        at_it.set()
        go_on.wait(20.0)

    monkeypatch.setattr(LogFile, "_append", slow)
    monkeypatch.setattr(log_file, "MAX_WAITING", 50)
    handler = LogFile(tmp_path / "x.log", as_json=False)
    began = time.monotonic()
    handler.handle(logging.makeLogRecord({"msg": "first"}))
    assert at_it.wait(10.0)
    for _ in range(200):
        handler.handle(logging.makeLogRecord({"msg": "more"}))
    assert time.monotonic() - began < 5.0 and len(handler._waiting) == 50
    go_on.set()
    wait_until(no_writer)
    assert set(by) == {"rodin-log"}


def test_a_file_that_cannot_be_written_harms_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    handler = LogFile(tmp_path / "file" / "x.log", as_json=False)
    handler.handle(logging.makeLogRecord({"msg": "lost"}))
    wait_until(no_writer)


def test_words_are_one_line_each(tmp_path: Path) -> None:
    handler = LogFile(tmp_path / "x.log", as_json=False)
    fields = {"event": "trouble", "task_id": "1a2b", "text": 'two\nlines = "bad"'}
    handler.handle(logging.makeLogRecord({"msg": "x", "levelname": "WARNING", "fields": fields}))
    handler.handle(logging.makeLogRecord({"msg": "plain", "levelname": "ERROR"}))
    wait_until(no_writer)
    first, second = (tmp_path / "x.log").read_text().splitlines()
    assert first.endswith(r'trouble task_id=1a2b text="two\nlines = \"bad\""') and " WARNING " in first and "@" in first
    assert second.endswith("message text=plain")


def test_the_command_line_logs_as_the_settings_say(shell: Shell, tmp_path: Path) -> None:
    where = {"RODIN_LOG_FILE": "$LOGS/$WHO.log", "LOGS": str(tmp_path), "WHO": "anna", "RODIN_LOG_JSON": "1"}
    ran = shell.run("generate", "--prompt", "A glazed vase", "--wait", **where)
    assert ran.code == 0
    assert [line["event"] for line in lines(tmp_path / "anna.log")] == ["submitted", "ended"]
    assert "vase" not in (tmp_path / "anna.log").read_text()
    ran = shell.run("list", RODIN_LOG_FILE="$NOT_SET/x.log")
    assert ran.code == 0 and "Nothing is logged: $NOT_SET/x.log names the variable NOT_SET" in ran.err
