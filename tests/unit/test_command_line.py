# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands, run as a user runs them: the real program in another process, against a simulated service."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shlex
import shutil
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import trustme

from rodin_blender.command_line import arguments, main
from rodin_blender.command_line.host import plain
from rodin_blender.command_line.output import Exit
from rodin_blender.service import keys, paste_parser
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Generation
from rodin_blender.storage.store import Store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.task import Download, Status, Task, Watch, new_task_id
from rodin_blender.texts.actions import Action
from rodin_blender.texts.text import Trouble
from rodin_blender.tracking.due_queue import DueQueue
from tests.unit import disks
from tests.unit import shell as shells
from tests.unit.shell import FILES, GLB, ROOT, RUNNING, Shell, check_event, key_of, wait_until
from tests.unit.sockets import closed_port, serving
from tests.unit.test_client import Proxy
from tools.simulator import API_KEY, Simulator

shell = shells.shell
read_only = disks.read_only

NOW_DONE = [[(0.0, "Done")], [(0.0, "Done")]]
NOW_FAILED = [[(0.0, "Failed")]]
NOW_IN_PART = [[(0.0, "Done")], [(0.0, "Failed")]]
KEY = "a-subscription-key-that-nobody-knows"
COMMANDS = (
    "generate", "settle", "status", "wait", "track", "list", "pause", "resume", "forget", "download", "import", "batch", "balance", "doctor",
    "files", "spending",
)  # fmt: skip


# Help.


def test_help_of_the_whole_names_all_commands_and_exit_codes(shell: Shell) -> None:
    ran = shell.run("--help")
    assert ran.code == 0 and ran.err == ""
    assert all(f"\n    {command} " in ran.out for command in COMMANDS)
    assert all(f" {int(code)} " in " ".join(ran.out.split()) for code in Exit)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_an_example_that_can_be_typed(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([command, "--help"], plain) == 0
    shown = " ".join(capsys.readouterr().out.split())
    example = re.fullmatch(rf".* example: python -m rodin_blender ({command}.*)", shown)
    assert example and "--json" in shown
    words = shlex.split(example[1].partition("<")[0])
    assert arguments.parser("x").parse_args(words).command == command


# Wrong usage.


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["status"],
        ["wait", "KEY", "--timeout", "soon"],
        ["wait", "KEY", "--timeout", "-1"],
        ["wait", "KEY", "--timeout", "nan"],
        ["wait", "KEY", "--time", "5"],
        ["batch"],
        ["import", "x"],
        ["import", "x", "--save", "a.blend", "--height", "tall"],
        ["download"],
        ["list", "more"],
    ],
)
def test_wrong_usage_ends_with_2_and_tells_what(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert main.run([*words, "--json"], plain) == 2
    out, err = capfd.readouterr()
    assert err.startswith("usage: python -m rodin_blender") and "\nrodin: " in err and "_number" not in err
    event = json.loads(out)
    check_event(event)
    assert event["exit"] == 2


def test_a_key_in_the_wrong_place_is_not_printed(shell: Shell) -> None:
    key = key_of(shell.add())
    for words in ([key], ["list", key], ["pause", key], ["wait", "x", "--timeout", key], ["import", key, "--save", "a"]):
        assert shell.run(*words).code == 2
        assert shell.json(*words).code == 2


# status.


def test_status_asks_once_for_each_and_prints_in_order(shell: Shell) -> None:
    answers = [shell.add(NOW_DONE, prompt="A vase"), shell.add("waiting"), shell.add("no-jobs", prompt="New")]
    ran = shell.run("status", shell.keys(*answers))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "A vase  done  2 of 2 jobs\nKey 2  waiting  0 of 2 jobs\nNew  unknown  The service lists no jobs yet.\n"
    )
    events = shell.json("status", shell.keys(*answers)).events
    assert [(e["name"], e["status"], e["jobs_done"], e["task_uuid"]) for e in events] == [
        ("A vase", "DONE", 2, answers[0]["uuid"]),
        ("Key 2", "WAITING", 0, answers[1]["uuid"]),
        ("New", "UNKNOWN", 0, answers[2]["uuid"]),
    ]
    assert len(shell.simulator.requests) == 6
    assert shell.json("list").events == [], "status tracks nothing"


def test_status_shows_a_task_of_the_list_as_that(shell: Shell) -> None:
    answer = shell.add(NOW_DONE)
    tracked = shell.json("track", "-", "--name", "Mine", stdin=json.dumps(answer)).event
    told = shell.json("status", "-", stdin=key_of(answer)).event
    assert (told["task_id"], told["name"], told["status"]) == (tracked["task_id"], "Mine", "DONE")


@pytest.mark.parametrize("story", [NOW_FAILED, NOW_IN_PART])
def test_status_of_a_failed_task_ends_with_3_whatever_else_is_wrong(shell: Shell, story: object) -> None:
    ran = shell.json("status", shell.keys(shell.add(story)), KEY, stdin="")
    assert ran.code == 3
    assert ran.events[0]["status"] in ("FAILED", "PARTLY_FAILED")
    assert "NO_SUCH_TASK" in ran.events[1]["message"]


@pytest.mark.parametrize("fault", ["500", "reset", "no-such-task", "429", "html", "api-error"])
def test_trouble_in_asking_ends_with_1_and_is_told_with_the_task(shell: Shell, fault: str) -> None:
    ran = shell.json("status", shell.keys(shell.add(faults=[fault]), shell.add(NOW_DONE)))
    assert ran.code == 1
    assert [bool(event["message"]) for event in ran.events] == [True, False]
    assert ran.events[1]["status"] == "DONE"


def test_status_keeps_to_a_pause_that_the_service_asks_for(shell: Shell) -> None:
    begun = time.monotonic()
    ran = shell.json("status", shell.keys(shell.add(faults=["429-seconds"]), shell.add(NOW_DONE)))
    assert ran.code == 1 and ran.events[1]["status"] == "DONE"
    assert time.monotonic() - begun > 3.0
    with closing(Store(shell.folder / "tasks.sqlite")) as store:
        store.throttle(time.time() + 500, time.time())
    ran = shell.run("status", shell.keys(shell.add(NOW_DONE)))
    assert ran.code == 1 and "asks not to be asked before" in ran.err


# Where keys come from.


def test_keys_come_from_files_standard_input_and_arguments_each_once(shell: Shell) -> None:
    answers = [shell.add(NOW_DONE, prompt=f"Model {number}") for number in range(7)]
    lines = shell.file("keys.txt", f"\ufeff{key_of(answers[0])}\r\n\r\n  {key_of(answers[1])}\r\n")
    pretty = shell.file("answer.json", json.dumps(answers[2], indent=4))
    joined = shell.file("joined.json", json.dumps(answers[3]) + json.dumps(answers[4], indent=1) + key_of(answers[0]))
    windows = shell.file("powershell.txt", (key_of(answers[5]) + "\r\n").encode("utf-16"))
    words = [f"@{path}" for path in (lines, pretty, joined, windows)]
    ran = shell.json("status", *words, "-", key_of(answers[1]), stdin=json.dumps(answers[6], indent=2))
    assert ran.code == 0
    assert [event["name"] for event in ran.events] == ["Key 1", "Key 2", *(f"Model {n}" for n in (2, 3, 4)), "Key 6", "Model 6"]
    assert len(shell.simulator.requests) == 7


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Nothing was given."),
        (b"\n \n", "Nothing was given."),
        (b"\xff\xd8\xff\xe0" + bytes(range(256)), "is no text in UTF-8"),
        (b"a key with spaces", "In standard input: A subscription key has no spaces"),
        (b"good-key\n123e4567-e89b-12d3-a456-426614174000\n", "Number 2 in standard input: This looks like a uuid"),
        (b"x" * 10_000_000, "10.0 MB"),
        (b'{"jobs": {"subscription_key": ', "In standard input: A part of this answer is missing"),
        (b'{\n "error": "API_INSUFFICIENT_FUND"\n}', "This is an error answer (API_INSUFFICIENT_FUND)"),
        (b'{"jobs": []}', "tells a task's status, and not its subscription key"),
        (b"[" * 200_000, "cannot be read"),
        (b'{"a":' * 40_000, "cannot be read"),
        (API_KEY.encode(), "This is your API key"),
        (b"https://hyper3d.ai/rodin/vase", "link to the website of Hyper3D"),
        (b'{"generation_id": "g", "status": "queued", "display_url": "https://x"}', "another Hyper3D tool"),
        (b"\x00\x01\x02", "not text"),
    ],
    ids=range(15),
)
def test_what_is_no_key_ends_with_2_and_says_why(shell: Shell, content: bytes, said: str) -> None:
    for command in ("status", "wait", "track"):
        ran = shell.run(command, "-", stdin=content)
        assert ran.code == 2 and said in ran.err and len(ran.err) < 500 and ran.out == ""
    assert "lipboard" not in ran.err and "paste" not in ran.err
    assert shell.simulator.requests == [] and shell.json("list").events == []


def test_answers_are_found_inside_other_text_and_an_error_answer_stops_nobody(shell: Shell) -> None:
    answers = [shell.add(NOW_DONE, prompt=f"Model {number}") for number in range(6)]
    refused = {"error": "API_INSUFFICIENT_FUND", "message": "The fund in your wallet is insufficient."}
    listed = shell.file("list.json", json.dumps([answers[0], refused, answers[1]], indent=1))
    log = shell.file("tool.log", f"12:00 [INFO] started {answers[2]!r}\n12:01 [INFO] got {json.dumps(answers[3])} in 3 s\n")
    curl = f"HTTP/2 201\r\ncontent-type: application/json\r\n\r\n{json.dumps(answers[4])}"
    copied = paste_parser.serialized(Generation(keys.Secret(key_of(answers[5])), answers[5]["uuid"], "A stool"))
    for command in ("status", "track", "wait"):
        ran = shell.json(command, f"@{listed}", f"@{log}", "-", stdin=f"{curl}\n{copied}")
        names = [f"Model {number}" for number in range(5)] + ["A stool"]
        assert [event["name"] for event in ran.events] == names or command == "wait"
        assert sorted(event["name"] for event in ran.events) == sorted(names)
        assert ran.code == 3 and f"Number 2 in {listed}: This is an error answer (API_INSUFFICIENT_FUND: The fund" in ran.err
        assert [event["task_uuid"] for event in ran.events if event["name"] == "A stool"] == [answers[5]["uuid"]]


def test_a_swapped_pair_is_told(shell: Shell) -> None:
    answer = shell.add()
    ran = shell.run("track", "-", "--task-uuid", key_of(answer), stdin=answer["uuid"])
    assert ran.code == 2 and "swapped" in ran.err
    ran = shell.run("track", "-", "--task-uuid", key_of(answer), stdin=key_of(answer))
    assert ran.code == 2 and "swapped" in ran.err


def test_a_file_that_cannot_be_read_ends_with_2(shell: Shell, tmp_path: Path) -> None:
    for word, reason in ((f"@{tmp_path / 'gone'}", "No such file"), (f"@{tmp_path}", "Is a directory"), ("@/dev/zero", "more than 64 MB")):
        ran = shell.run("status", word)
        assert ran.code == 2 and reason in ran.err


# wait.


def test_wait_follows_to_the_end_with_live_lines_beside_the_results(shell: Shell) -> None:
    first, second = shell.add([RUNNING], prompt="A vase"), shell.add([RUNNING] * 5, prompt="A pot")
    process = shell.start("wait", shell.keys(first, second), "--json")
    wait_until(lambda: len({asked.subscription_key for asked in shell.simulator.asked("status")}) == 2)
    shell.simulator.end(first)
    shell.simulator.end(second)
    ran = shell.end(process)
    assert ran.code == 0
    assert {(e["name"], e["status"], e["jobs_done"]) for e in ran.events} == {("A vase", "DONE", 1), ("A pot", "DONE", 5)}
    lines = ran.err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  [0-9a-f]{8}  A (vase|pot)  ", line) for line in lines)
    assert len({line[10:] for line in lines}) == len(lines) >= 3, "nothing is told twice"
    assert {e["name"]: e["status"] for e in shell.json("list").events} == {"A vase": "DONE", "A pot": "DONE"}
    count = len(shell.simulator.requests)
    again = shell.run("wait", "A vase", "A pot", "--timeout", "0")
    assert again.code == 0 and again.err == "" and again.out.count("done") == 2
    assert len(shell.simulator.requests) == count, "what is final is not asked about"


@pytest.mark.parametrize(("story", "status"), [("failed", "FAILED"), ("canceled", "FAILED"), ("partly-failed", "PARTLY_FAILED")])
def test_wait_ends_with_3_when_a_task_failed(shell: Shell, story: str, status: str) -> None:
    ran = shell.json("wait", shell.keys(shell.add(story), shell.add(NOW_DONE)))
    assert ran.code == 3 and sorted(event["status"] for event in ran.events) == sorted(["DONE", status])


def test_wait_any_ends_with_the_first(shell: Shell) -> None:
    ran = shell.json("wait", "--any", shell.keys(shell.add("stuck", prompt="Slow"), shell.add(NOW_DONE, prompt="Fast")))
    assert (ran.code, ran.event["name"]) == (0, "Fast")
    ran = shell.run("wait", "--any", "Slow", "Fast")
    assert ran.code == 0 and "Fast  done" in ran.out


def test_wait_gives_up_after_its_timeout_with_4_and_goes_on_when_run_again(shell: Shell) -> None:
    answer = shell.add([RUNNING], prompt="A vase")
    process = shell.start("wait", shell.keys(answer), "--json", "--timeout", "3")
    wait_until(lambda: shell.simulator.asked("status"))
    begun = time.monotonic()
    ran = shell.end(process)
    assert ran.code == 4 and time.monotonic() - begun < 6.0
    assert re.fullmatch(r"1 of 1 tasks are not final yet\. They stay in the list at .+: run `wait` to go on\.", ran.event["text"])
    assert ran.event["code"] == "time_ran_out"
    assert shell.json("list").event["status"] == "GENERATING"
    shell.simulator.end(answer)
    assert shell.json("wait", "A vase").code == 0


def test_a_task_past_its_deadline_ends_wait_with_4(shell: Shell) -> None:
    ran = shell.json("wait", shell.keys(shell.add("stuck")), RODIN_DEADLINE="0.1")
    assert ran.code == 4 and ran.event["watch"] == "OVERDUE"
    assert "to go on. RODIN_DEADLINE sets the longest time." in ran.event["message"]


def test_wait_for_what_the_service_does_not_know_ends_with_1(shell: Shell) -> None:
    ran = shell.json("wait", KEY)
    assert ran.code == 1 and ran.event["watch"] == "REFUSED"
    assert ran.event["message"].endswith(" to ask once more.")


def test_wait_for_a_paused_task_resumes_it(shell: Shell) -> None:
    shell.run("track", "-", "--name", "Vase", stdin=key_of(shell.add("one-job")))
    paused = shell.json("pause", "Vase").event
    assert paused["message"].startswith("Paused: it is not checked. The service goes on with it. Run `resume ")
    assert paused["code"] == "paused"
    assert shell.run("wait", "Vase").code == 0


def test_ctrl_c_ends_wait_with_130_and_run_again_it_goes_on(shell: Shell) -> None:
    answer = shell.add([[(0.0, "Generating"), (30.0, "Done")]], prompt="A vase")
    ran = shell.interrupted("wait", shell.keys(answer), "--json", when=lambda: shell.simulator.requests)
    assert ran.code == 130 and ran.event["exit"] == 130 and "Interrupted. Nothing is lost" in ran.err
    assert shell.json("list").event["watch"] == "FOLLOWING"
    assert shell.run("wait", "A vase").code == 0


def test_keys_that_come_by_standard_input_are_in_no_list_of_processes(shell: Shell) -> None:
    answer = shell.add("stuck")
    process = shell.start("wait", "-", "--timeout", "2", forked=False)
    process.stdin.write(key_of(answer).encode())  # type: ignore[union-attr]
    process.stdin.close()  # type: ignore[union-attr]
    process.stdin = None
    wait_until(lambda: shell.simulator.requests)
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert "rodin_blender wait -" in listed
    assert key_of(answer) not in listed and API_KEY not in listed
    assert shell.end(process).code == 4


# Refusals.

ONE_OF_MANY = 21
ASKED_AGAIN = ("401-bare", "401-html", "403", "403-html", "403-json")
"""Refusals that may pass: whose they are is not known, or not the service's at all."""
THIS_TASK_ONLY = ("permission-denied", "permission-denied-403")


def many(shell: Shell, fault: str) -> str:
    """An argument that names many finished tasks, to one of which the service answers so at first."""
    faults = {9: [fault] if fault else []}
    return shell.keys(*(shell.add(NOW_DONE, prompt=f"Model {n}", faults=faults.get(n, ())) for n in range(ONE_OF_MANY)))


@pytest.mark.parametrize("fault", ASKED_AGAIN)
def test_a_refusal_that_may_pass_holds_up_no_other_task_and_is_asked_again(shell: Shell, fault: str) -> None:
    ran = shell.json("wait", many(shell, fault))
    assert ran.code == 0 and [event["status"] for event in ran.events] == ["DONE"] * ONE_OF_MANY
    assert "does not accept the API key" not in ran.err
    ran = shell.json("status", many(shell, fault))
    assert ran.code == 1 and [e["name"] for e in ran.events if e["status"] != "DONE"] == ["Model 9"]
    assert len(ran.events) == ONE_OF_MANY


@pytest.mark.parametrize("fault", THIS_TASK_ONLY)
def test_a_task_that_the_key_may_not_see_is_refused_alone(shell: Shell, fault: str) -> None:
    given = many(shell, fault)
    ran = shell.json("wait", given)
    assert ran.code == 1 and sum(event["status"] == "DONE" for event in ran.events) == ONE_OF_MANY - 1
    (refused,) = [event for event in ran.events if event["status"] != "DONE"]
    assert (refused["name"], refused["watch"]) == ("Model 9", "REFUSED")
    assert "PERMISSION_DENIED" in refused["message"] and "Run `resume " in refused["message"]
    assert refused["code"] == "permission_denied"
    assert shell.json("wait", given).code == 0, "asked once more"
    ran = shell.json("status", many(shell, fault))
    assert ran.code == 1 and [e["name"] for e in ran.events if e["status"] != "DONE"] == ["Model 9"]


def test_while_a_firewall_answers_in_place_of_the_balance_too_no_key_is_blamed(shell: Shell) -> None:
    shell.simulator.fail("check_balance", "403-html!")
    ran = shell.json("wait", many(shell, "permission-denied"))
    assert ran.code == 0 and len(ran.events) == ONE_OF_MANY and "does not accept the API key" not in ran.err
    assert shell.json("balance").code == shell.json("doctor").code == 1


def test_a_key_that_the_balance_refuses_too_ends_all(shell: Shell) -> None:
    shell.simulator.fail("check_balance", "403-json!")
    shell.simulator.fail("status", "403-json!")
    for command in ("wait", "status"):
        ran = shell.json(command, many(shell, ""))
        assert ran.code == 2 and "does not accept the API key (HTTP 403)" in ran.events[-1]["text"]


# Settings in the way.


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"RODIN_API_KEY": None}, "An API key of your Hyper3D account is needed. Set RODIN_API_KEY."),
        ({"RODIN_API_KEY": "two words"}, "holds spaces"),
        ({"RODIN_API_KEY": "wrong-key"}, "does not accept the API key (HTTP 401)"),
        ({"RODIN_API_URL": "http://example.com/api"}, "must begin with https://"),
        ({"RODIN_API_URL": "not an address"}, "must look like https://api.hyper3d.com/api/v2. Set it by RODIN_API_URL"),
        ({"RODIN_DEADLINE": "soon"}, "RODIN_DEADLINE holds something that is no number"),
        ({"RODIN_STORAGE_HINT": "much"}, "RODIN_STORAGE_HINT holds something that is no number"),
        ({"RODIN_CONFIG": "/gone/studio.toml"}, "The file that RODIN_CONFIG names cannot be read (/gone/studio.toml)"),
    ],
)
def test_what_is_set_wrongly_ends_whatever_asks_with_2(shell: Shell, environment: dict[str, str | None], said: str) -> None:
    answer = shell.add(NOW_DONE)
    given = shell.keys(answer)
    csv = shell.file("b.csv", f"name,subscription_key,task_uuid\nA,{key_of(answer)},{answer['uuid']}\n")
    shell.run("track", given)
    for words in (["status", given], ["wait", given], ["balance"], ["download", "Task 1"],
                  ["batch", csv, "--to", shell.folder.parent / "out"]):  # fmt: skip
        ran = shell.json(*words, **environment)
        assert (ran.code, ran.event["exit"]) == (2, 2), (words, ran)
        assert said in ran.event["text"] and said in ran.err
        assert "press" not in ran.err.lower() and "preferences" not in ran.err
    assert {request.path for request in shell.simulator.requests} <= {"status", "check_balance", "download"}


def test_with_offline_access_not_allowed_it_ends_with_5(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RODIN_API_KEY", API_KEY)
    monkeypatch.delenv("RODIN_API_URL", raising=False)
    offline = Trouble("offline", "Blender is not allowed to go online.", Action.ALLOW_ONLINE)
    host = replace(plain(), folder=tmp_path, offline=offline)
    batch = tmp_path / "b.csv"
    batch.write_text("name,subscription_key,task_uuid\nA,k,123e4567-e89b-12d3-a456-426614174000\n")
    for words in (["status", KEY], ["wait", KEY], ["balance"], ["batch", str(batch), "--to", str(tmp_path)], ["doctor"]):
        assert main.run(words, lambda: host) == (1 if words == ["doctor"] else 5)
        said = "".join(capsys.readouterr())
        assert "is not allowed to go online" in said and "or start Blender with --online-mode." in said
    for words in (["track", KEY], ["list"], ["pause", "Task 1"]):
        assert main.run(words, lambda: host) == 0, "the list needs no network"


def test_a_service_out_of_reach_ends_with_1(shell: Shell) -> None:
    address = f"http://127.0.0.1:{closed_port()}/api/v2"
    for words in (["balance"], ["status", KEY], ["doctor"]):
        ran = shell.json(*words, RODIN_API_URL=address)
        assert ran.code == 1 and "refused the connection" in ran.out
    shell.simulator.fail("check_balance", "502-html")
    assert shell.run("balance").code == 1


# The list.


def test_track_list_pause_resume_and_forget_work_on_the_windows_list(shell: Shell) -> None:
    vase, pot = shell.add("stuck", prompt="A vase"), shell.add("stuck", prompt="A pot")
    tracked = shell.json("track", shell.keys(vase, pot)).events
    assert [(e["name"], e["watch"], e["task_uuid"]) for e in tracked] == [
        ("A vase", "FOLLOWING", vase["uuid"]), ("A pot", "FOLLOWING", pot["uuid"]),
    ]  # fmt: skip
    assert shell.json("list").events == tracked[::-1]
    assert shell.run("list").out == f"{tracked[1]['task_id']}  A pot  unknown\n{tracked[0]['task_id']}  A vase  unknown\n"
    paused = shell.json("pause", "A vase", tracked[1]["task_id"], "A vase").events
    assert [(e["name"], e["watch"]) for e in paused] == [("A vase", "PAUSED"), ("A pot", "PAUSED")]
    assert "A vase  paused, was unknown  Paused: it is not checked." in shell.run("list").out
    assert shell.json("resume", "A pot").event["watch"] == "FOLLOWING"
    assert shell.json("forget", "A vase").event["name"] == "A vase"
    assert [e["name"] for e in shell.json("list").events] == ["A pot"]
    assert shell.simulator.requests == []
    with closing(Store(shell.folder / "tasks.sqlite")) as store:
        assert [task.name for task in store.tasks()] == ["A pot"]


def test_track_takes_a_name_and_a_uuid_also_for_what_is_there(shell: Shell) -> None:
    answer = shell.add()
    first = shell.json("track", "-", stdin=key_of(answer)).event
    assert (first["name"], first["task_uuid"]) == ("Task 1", "")
    again = shell.json("track", "-", "--name", " Vase\n\x1b[2J", "--task-uuid", answer["uuid"], stdin=key_of(answer)).event
    assert again == {**first, "name": "Vase [2J", "task_uuid": answer["uuid"]}
    assert len(shell.json("list").events) == 1
    ran = shell.run("track", shell.keys(shell.add(), shell.add()), "--name", "x")
    assert ran.code == 2 and "for a single key" in ran.err


def test_forget_deletes_the_files_where_that_is_asked_for(shell: Shell) -> None:
    for name in ("A vase", "A chair"):
        shell.run("track", shell.keys(shell.add(NOW_DONE, prompt=name)))
    folders = {e["name"]: Path(e["folder"]) for e in shell.json("download", "A vase", "A chair").events}
    (folders["A vase"] / "mine.txt").write_text("the user's own")
    assert shell.json("forget", "A chair").code == 0 and len(list(folders["A chair"].iterdir())) == len(FILES)
    told = shell.json("forget", "A vase", "--files")
    assert told.code == 0 and told.event["files"] == [] and shell.json("list").events == []
    assert [path.name for path in folders["A vase"].iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("command", ["pause", "resume", "forget", "download"])
def test_an_unknown_task_and_a_name_of_several_end_with_2_and_change_nothing(shell: Shell, command: str) -> None:
    shell.run("track", shell.keys(shell.add("stuck", prompt="Vase"), shell.add("stuck", prompt="Vase"), shell.add(prompt="Pot")))
    before = shell.json("list").events
    ran = shell.json(command, "Pot", "Vaes")
    assert ran.code == 2 and ran.event["text"].startswith("There is no task 'Vaes' in the list at ")
    assert ran.event["text"].endswith(". Did you mean 'Vase'?")
    ran = shell.json(command, "Pot", "Vase")
    assert ran.code == 2 and "Several tasks are called 'Vase'; give one of their ids: " in ran.event["text"]
    assert all(event["task_id"] in ran.event["text"] for event in before if event["name"] == "Vase")
    assert shell.json("list").events == before


# Names.


@pytest.mark.parametrize("command", ["status", "wait", "track"])
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("Vaes", "There is no task 'Vaes' in the list at {path}, and it does not look like a subscription key, which "
         "has 32 characters or more and no spaces. Did you mean 'Vase'? A shorter key is taken from a file (@FILE) "
         "and from standard input (-)."),
        ("vase", "Did you mean 'Vase'?"),
        ("Poot", "Did you mean 'Pot'?"),
        ("glass vase with a lid", "Did you mean 'A glass vase with a lid'?"),
        ("kitchen_shelf_ceramic_vase_large_v00l", "Did you mean 'kitchen_shelf_ceramic_vase_large_v001'?"),
        ("nothing-like-it", "no spaces. `list` prints what there is."),
        ("a key with spaces, which is far too long", "There is no task 'a key with spaces, which is far too long'"),
        (API_KEY, "This is your API key"),
        ("https://hyper3d.ai/x", "link to the website"),
        ("123e4567-e89b-12d3-a456-426614174000", "looks like a uuid"),
        ("", "There is no task '' in"),
    ],
)  # fmt: skip
def test_a_mistyped_name_is_no_key_and_the_right_one_is_offered(
    shell: Shell, command: str, word: str, said: str
) -> None:
    prompts = ("Vase", "Pot", "A glass vase with a lid", "kitchen_shelf_ceramic_vase_large_v001")
    shell.run("track", shell.keys(*(shell.add("stuck", prompt=prompt) for prompt in prompts)))
    before = shell.json("list").events
    ran = shell.json(command, key_of(shell.add(NOW_DONE)), "Pot", word)
    assert ran.code == 2 and said.format(path=shell.folder / "tasks.sqlite") in ran.event["text"]
    assert shell.simulator.requests == [] and shell.json("list").events == before


def test_what_looks_like_a_key_has_no_form_to_keep_to(shell: Shell) -> None:
    answers = [shell.add(NOW_DONE) for _ in range(3)]
    for number, key in enumerate(("k" * 32, "a+/=~.-_" * 5, "short-key")):
        task = shell.simulator._tasks.pop(key_of(answers[number]))
        shell.simulator._tasks[key] = task
        given = ("-",) if key == "short-key" else (key,)
        assert shell.json("wait", *given, stdin=key).event["status"] == "DONE"
    answer = json.dumps(shell.add(NOW_DONE, prompt="A vase with spaces"))
    assert shell.json("status", answer).event["name"] == "A vase with spaces"


def test_status_and_track_take_a_task_of_the_list_by_its_name_too(shell: Shell) -> None:
    answer, other = shell.add(NOW_DONE, prompt="Vase"), shell.add(NOW_DONE)
    task = shell.json("track", "-", "--name", "Vase", stdin=key_of(answer)).event
    told = shell.json("status", "Vase", task["task_id"], shell.keys(other)).events
    assert [(e["name"], e["status"], e["task_id"]) for e in told] == [("Vase", "DONE", task["task_id"]), ("Key 2", "DONE", "")]
    again = shell.json("track", "Vase", "--task-uuid", answer["uuid"]).event
    assert again == {**task, "task_uuid": answer["uuid"]}
    assert shell.json("list").event == again


def test_two_programs_at_once_share_one_list(shell: Shell) -> None:
    answers = [shell.add([[(0.0, "Generating"), (25.0, "Done")]], prompt=f"Model {n}") for n in range(4)]
    given = shell.keys(*answers)
    both = [shell.start("wait", given, "--json") for _ in range(2)]
    adding = [shell.start("track", shell.keys(shell.add("stuck", prompt=f"Other {n}"))) for n in range(4)]
    ran = [shell.end(process) for process in both]
    assert [shell.end(process).code for process in adding] == [0] * 4
    assert [one.code for one in ran] == [0, 0]
    assert [sorted(event["name"] for event in one.events) for one in ran] == [[f"Model {n}" for n in range(4)]] * 2
    assert len(shell.json("list").events) == 8
    for answer in answers:
        times = [asked.at for asked in shell.simulator.asked("status") if asked.subscription_key == key_of(answer)]
        assert all(later - earlier > 0.8 for earlier, later in pairwise(times)), "each check once"


def test_a_read_only_folder_ends_with_1_and_says_so(shell: Shell, read_only: tuple[Path, object]) -> None:
    folder, _ = read_only
    for words in (["list"], ["track", KEY], ["wait", KEY], ["status", KEY], ["download", "x"]):
        ran = shell.json(*words, RODIN_FOLDER=str(folder))
        assert ran.code == 1 and f"The list of tasks ({folder / 'tasks.sqlite'}) cannot be used" in ran.event["text"]
    csv = shell.file("b.csv", "name,subscription_key,task_uuid\nA,k,123e4567-e89b-12d3-a456-426614174000\n")
    for to in (folder, folder / "new"):
        ran = shell.json("batch", csv, "--to", to)
        assert ran.code == 1 and str(to) in ran.event["text"]


def test_a_damaged_list_is_set_aside_and_told(shell: Shell) -> None:
    shell.run("track", shell.keys(shell.add("stuck", prompt="Vase")))
    (shell.folder / "tasks.sqlite").write_bytes(b"garbage" * 1000)
    ran = shell.json("list")
    assert ran.code == 0 and ran.events == []
    assert "The list of tasks was damaged. It now lies at " in ran.err
    assert shell.run("list").err == ""


def test_a_list_of_a_newer_version_ends_with_1(shell: Shell) -> None:
    shell.run("track", KEY)
    with closing(sqlite3.connect(shell.folder / "tasks.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("UPDATE reader SET oldest = 99")
        db.commit()
    ran = shell.json("list")
    assert ran.code == 1 and "newer version of the Rodin extension" in ran.event["text"]


# download.


def tracked(shell: Shell, story: object = NOW_DONE, name: str = "Vase", **values: object) -> dict[str, object]:
    return shell.json("track", shell.keys(shell.add(story, prompt=name, **values))).event


def test_download_saves_a_task_of_the_list_though_nobody_followed_it(shell: Shell, tmp_path: Path) -> None:
    task = tracked(shell)
    ran = shell.json("download", "Vase", "--to", tmp_path / "out")
    folder = tmp_path / "out" / f"Vase {task['task_id']}"
    assert ran.code == 0
    assert (ran.event["folder"], ran.event["downloaded"], ran.event["status"]) == (str(folder), True, "DONE")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    files = [{"name": name, "size": len(content), "sha256": sums[name]} for name, content in FILES.items()]
    assert ran.event["files"] == shell.json("list").event["files"] == files
    assert "1 of 2: base_basic_pbr.glb" in ran.err and "2 files are saved" in ran.err
    count = len(shell.simulator.requests)
    assert shell.run("download", "Vase", "--to", tmp_path / "out").code == 0
    assert len(shell.simulator.requests) == count, "what is there is not fetched again"
    (folder / "preview.webp").unlink()
    assert shell.run("download", "Vase", "--to", tmp_path / "out").code == 0
    assert (folder / "preview.webp").exists() and len(shell.simulator.asked("files")) == 3


def test_download_fetches_what_is_not_whole_and_again_all_of_it(shell: Shell, tmp_path: Path) -> None:
    tracked(shell)
    model = Path(shell.json("download", "Vase").event["folder"]) / "base_basic_pbr.glb"
    for there in (b"", b"<html>Blocked</html>", GLB[:-1]):
        model.write_bytes(there)
        assert shell.run("download", "Vase").code == 0 and model.read_bytes() == GLB
    assert len(shell.simulator.asked("files")) == 5
    model.write_bytes(GLB + b"of the user's")
    assert shell.run("download", "Vase").code == 0 and len(shell.simulator.asked("files")) == 5
    assert shell.run("download", "Vase", "--again").code == 0 and model.read_bytes() == GLB
    assert len(shell.simulator.asked("files")) == 7
    shutil.rmtree(model.parent)
    assert shell.run("download", "Vase").code == 0 and model.read_bytes() == GLB


def test_download_goes_beside_the_list_unless_told_otherwise(shell: Shell, tmp_path: Path) -> None:
    tracked(shell)
    assert Path(shell.json("download", "Vase").event["folder"]).parent == shell.folder / "downloads"
    tracked(shell, name="Pot")
    to = tmp_path / "set"
    assert Path(shell.json("download", "Pot", RODIN_DOWNLOAD_FOLDER=str(to)).event["folder"]).parent == to


def test_what_was_saved_elsewhere_is_copied_to_where_it_is_wanted(shell: Shell, tmp_path: Path) -> None:
    task = tracked(shell)
    shell.run("download", "Vase")
    count = len(shell.simulator.requests)
    event = shell.json("download", "Vase", "--to", tmp_path / "show").event
    folder = tmp_path / "show" / f"Vase {task['task_id']}"
    assert event["folder"] == str(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert len(shell.simulator.requests) == count
    assert Path(shell.json("list").event["folder"]).parent == shell.folder / "downloads", "the window has its own still"


def test_a_failed_task_is_not_downloaded_and_one_failed_in_part_is(shell: Shell, tmp_path: Path) -> None:
    tracked(shell, NOW_FAILED, "Bad")
    tracked(shell, NOW_IN_PART, "Half")
    tracked(shell, NOW_DONE, "Good")
    ran = shell.json("download", "Bad", "Half", "Good", "--to", tmp_path / "out")
    assert ran.code == 3
    *tasks, error = ran.events
    assert [(event["name"], event["downloaded"]) for event in tasks] == [("Half", True), ("Good", True)]
    assert "'Bad': It failed, so there is nothing to download." in error["text"]
    assert "'Half' failed in part" in error["text"]


def test_an_unfinished_task_gives_what_there_is_and_ends_with_1(shell: Shell, tmp_path: Path) -> None:
    tracked(shell, "stuck")
    ran = shell.json("download", "Vase", "--to", tmp_path / "out")
    assert ran.code == 1 and len(ran.events[0]["files"]) == 2 and not ran.events[0]["downloaded"]
    assert "'Vase' is not finished" in ran.events[1]["text"]


def test_what_keeps_a_download_from_being_there_is_told(shell: Shell, tmp_path: Path) -> None:
    tracked(shell)
    shell.simulator.fail("download", "500")
    ran = shell.json("download", "Vase", "--to", tmp_path / "out")
    assert ran.code == 1 and re.search(r"Run `download \w+` to go on\.$", ran.event["text"])
    (tmp_path / "file").write_text("in the way")
    ran = shell.json("download", "Vase", "--to", tmp_path / "file")
    assert ran.code == 2 and "there is a file of that name" in ran.event["text"]
    shell.simulator.fail("download", "no-such-task")
    ran = shell.json("download", "Vase", "--to", tmp_path / "out")
    assert ran.code == 1 and "Give the right one by `track KEY --task-uuid UUID`" in ran.event["text"]
    ran = shell.json("download", "Vase", "--to", tmp_path / "out")
    assert ran.code == 2 and "needs its task uuid" in ran.event["text"]


def test_ctrl_c_ends_a_download_with_130_and_run_again_it_goes_on(shell: Shell, tmp_path: Path) -> None:
    content = b"glTF\x02\x00\x00\x00" + (400_000).to_bytes(4, "little") + bytes(400_000 - 12)
    task = tracked(shell, files={"a.glb": content})
    shell.simulator.rate = 200_000
    part = tmp_path / "out" / f"Vase {task['task_id']}" / ".a.glb.part"
    ran = shell.interrupted(
        "download", "Vase", "--to", tmp_path / "out", when=lambda: part.exists() and part.stat().st_size > 100_000
    )
    assert ran.code == 130
    shell.simulator.rate = None
    assert shell.run("download", "Vase", "--to", tmp_path / "out").code == 0
    assert (part.parent / "a.glb").read_bytes() == content
    assert [asked.range[:6] for asked in shell.simulator.asked("files")] == ["", "bytes="]


def test_a_download_of_another_program_is_waited_for(shell: Shell, tmp_path: Path) -> None:
    tracked(shell, files={"a.bin": bytes(300_000)})
    shell.simulator.rate = 100_000
    first = shell.start("download", "Vase", "--to", tmp_path / "out")
    wait_until(lambda: shell.simulator.asked("files"))
    second = shell.json("download", "Vase", "--to", tmp_path / "out")
    assert second.code == 0 and second.event["downloaded"]
    assert shell.end(first).code == 0
    assert len(shell.simulator.asked("files")) == 1


def test_import_needs_blender(shell: Shell) -> None:
    tracked(shell)
    ran = shell.json("import", "Vase", "--save", "vase.blend", "--height", "2")
    assert ran.code == 2 and ran.event["text"].startswith("import needs Blender: ")


# balance and doctor.


def test_balance(shell: Shell) -> None:
    assert shell.run("balance").out == "12.5 credits\n"
    assert shell.json("balance").event == {"schema": 1, "event": "account", "balance": 12.5}


def test_doctor_tells_sources_and_no_secrets(shell: Shell) -> None:
    shell.run("track", shell.keys(shell.add(prompt="Vase")))
    file = shell.file("studio.toml", f'proxy = "http://me:own-word@set.studio:3128"\napi_key = "{API_KEY}"\ndeadline = 90\nimport_location = "ORIGIN"\nshortest_interval = 9\n')
    environment = {
        "RODIN_API_KEY": None,
        "RODIN_CONFIG": str(file),
        "HTTPS_PROXY": "http://studio:pass-word@proxy.studio:3128",
        "http_proxy": "other-word@10.0.0.1",
        "ALL_PROXY": "socks5://u:with/slash-word@host:1",
        "NO_PROXY": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": "/studio@home/ca.pem",
    }
    for ran in (shell.run("doctor", **environment), shell.json("doctor", **environment)):
        assert "-word" not in ran.out + ran.err
    event = ran.event
    for setting in event["settings"].values():
        assert (setting.pop("locked"), setting.pop("ignored")) == (False, "")
    assert {"requests", "urllib3", "certifi", "truststore"} < event["versions"].keys()
    said = lambda name: {member: event["settings"][name][member] for member in ("value", "source")}  # noqa: E731
    assert said("api_key") == {"value": "set", "source": str(file)}
    assert said("proxy") == {"value": "http://me:****@set.studio:3128", "source": str(file)}
    assert said("deadline") == {"value": 90.0, "source": str(file)}
    assert said("shortest_interval") == {"value": 1.0, "source": "$RODIN_SHORTEST_INTERVAL"}
    assert said("import_height") == {"value": 0.0, "source": "default"}
    assert said("service_address") == {"value": shell.simulator.url, "source": "$RODIN_API_URL"}
    assert event["environment"] == {
        "HTTPS_PROXY": "http://studio:****@proxy.studio:3128",
        "http_proxy": "****@10.0.0.1",
        "ALL_PROXY": "socks5://u:****@host:1",
        "NO_PROXY": "localhost,127.0.0.1",
        "REQUESTS_CA_BUNDLE": "/studio@home/ca.pem",
        "RODIN_CONFIG": str(file),
        "RODIN_FOLDER": str(shell.folder),
    }
    assert event["list"] == {"path": str(shell.folder / "tasks.sqlite"), "tasks": 1, "trouble": ""}
    assert event["service"] == {"address": shell.simulator.url, "ok": True, "text": "answers and accepts the API key"}


def test_doctor_in_words(shell: Shell) -> None:
    ran = shell.run("doctor")
    assert ran.code == 0 and ran.err == ""
    for line in (
        "settings: api_key = set (from $RODIN_API_KEY)",
        "settings: longest_interval = 1.0 (from $RODIN_LONGEST_INTERVAL)",
        "settings: hand_off_operator = rodin.download (from default)",
        f"list: {shell.folder / 'tasks.sqlite'} does not exist yet",
        f"service: {shell.simulator.url} answers and accepts the API key",
    ):
        assert line in ran.out.splitlines()
    assert not shell.folder.exists(), "it only looks"


def test_doctor_tells_the_whole_path_of_what_the_environment_names_by_a_relative_one(shell: Shell) -> None:
    name = os.path.relpath(shell.folder, ROOT)
    config, hooks = shell.file("studio.toml", ""), shell.file("hooks.py", "def task_done(task): pass")
    files = {"RODIN_CONFIG": os.path.relpath(config, ROOT), "RODIN_HOOKS": os.path.relpath(hooks, ROOT)}
    ran = shell.run("doctor", RODIN_FOLDER=name, **files)
    whole = Path(ROOT, name)
    assert f"folders: user {whole} can be written" in ran.out.splitlines()
    assert f"list: {whole / 'tasks.sqlite'} does not exist yet" in ran.out.splitlines()
    assert f"files: {ROOT}/" in ran.out and f"hooks: {ROOT}/" in ran.out and f"environment: RODIN_FOLDER = {name}" in ran.out


def test_doctor_says_what_is_wrong_and_ends_with_1(shell: Shell) -> None:
    ran = shell.json("doctor", RODIN_DEADLINE="soon", RODIN_API_URL="https://me:pass-word@host/api")
    assert ran.code == 1 and "pass-word" not in ran.out + ran.err
    assert ran.event["settings"]["deadline"] == {"trouble": "The environment variable RODIN_DEADLINE holds something that is no number."}
    assert ran.event["settings"]["service_address"]["value"] == "(not an address)"
    ran = shell.run("doctor", RODIN_API_KEY="wrong")
    assert ran.code == 1 and "does not accept the API key (HTTP 401)" in ran.out
    ran = shell.run("doctor", RODIN_API_KEY=None)
    assert ran.code == 1 and "settings: api_key = not set (from default)" in ran.out
    shell.folder.mkdir()
    (shell.folder / "tasks.sqlite").mkdir()
    ran = shell.json("doctor")
    assert ran.code == 1 and "Is a directory" in ran.event["list"]["trouble"]
    (fault,) = ran.event["faults"]
    assert "tasks.sqlite" in fault and "Is a directory" in fault


def test_doctor_finds_each_fault_that_a_studio_has(
    shell: Shell, read_only: tuple[Path, Callable[[], None]]
) -> None:
    """Each is a row of its report, and none ends it."""
    folder, _ = read_only
    broken, hooks = shell.file("studio.toml", "deadline = ="), shell.file("hooks.py", "task_done = 1")
    found = {
        f"no TOML ({broken})": {"RODIN_CONFIG": str(broken)},
        "has no function called": {"RODIN_HOOKS": str(hooks)},
        f"Nothing can be written into {folder}": {"RODIN_DOWNLOAD_FOLDER": str(folder / "rodin")},
        "names the variable SHOW, which is not set": {"RODIN_DOWNLOAD_FOLDER": "$SHOW/rodin"},
        "CA file /gone/ca.pem": {"RODIN_CA_FILE": "/gone/ca.pem"},
    }
    for fault, variables in found.items():
        ran = shell.json("doctor", **variables)
        assert ran.code == 1 and any(fault in text for text in ran.event["faults"]), ran.out
        assert ran.event["versions"]["Rodin"] == "0.1.0"
        told = shell.run("doctor", **variables).out
        assert any(line.startswith("WRONG: ") and fault in line for line in told.splitlines())
    ran = shell.json("doctor")
    assert (ran.code, ran.event["faults"]) == (0, []) and "requests" in ran.event["certificates"]["trusted"]


def test_the_versions_are_told(shell: Shell) -> None:
    ran = shell.run("--version", RODIN_CONFIG="/gone.toml")
    assert ran.code == 0 and re.fullmatch(r"Rodin 0\.1\.0, Python 3\.\d+\.\d+\n", ran.out)


def test_the_environment_goes_before_the_file_in_what_is_used(shell: Shell) -> None:
    file = shell.file("studio.toml", f'api_key = "wrong-key"\nservice_address = "{shell.simulator.url}"')
    assert shell.run("balance", RODIN_CONFIG=str(file), RODIN_API_URL=None).code == 0
    ran = shell.run("balance", RODIN_CONFIG=str(file), RODIN_API_KEY=None)
    assert ran.code == 2 and "wrong-key" not in ran.err
    assert shell.run("balance", RODIN_CONFIG=str(file), RODIN_API_KEY=None, HYPER3D_API_KEY=API_KEY).code == 0


@pytest.mark.parametrize("content", ["= nothing", "api_kye = 1", "deadline = true", "deadline = 0"])
def test_a_studios_file_that_is_wrong_ends_all_commands_but_doctor_with_2(shell: Shell, content: str) -> None:
    file = shell.file("studio.toml", content)
    for words in (["list"], ["balance"]):
        ran = shell.json(*words, RODIN_CONFIG=str(file))
        assert ran.code == 2 and str(file) in ran.event["text"]


# Outputs.


def test_a_reader_that_has_gone_is_no_trouble(shell: Shell) -> None:
    shell.run("track", shell.keys(*(shell.add("stuck", prompt=f"Model {n}") for n in range(30))))
    for command in ("list", "list --json", f"wait a{KEY} b{KEY}"):
        piped = f"{shlex.quote(sys.executable)} -m rodin_blender {command} | head -1"
        ran = subprocess.run(["bash", "-c", piped], cwd=ROOT, env=shell.environment, capture_output=True, text=True, timeout=30)
        shell.printed += [ran.stdout, ran.stderr]
        assert len(ran.stdout.splitlines()) == 1
        assert "Traceback" not in ran.stderr and "BrokenPipe" not in ran.stderr and "Exception ignored" not in ran.stderr


def test_a_full_disk_behind_the_output_is_told(shell: Shell) -> None:
    shell.run("track", KEY)
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "rodin_blender", "list"], cwd=ROOT, env=shell.environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30
        )
    assert ran.returncode == 1 and ran.stderr == "rodin: The output: No space left on device.\n"


def test_names_that_the_terminal_cannot_show_are_shown_somehow(shell: Shell) -> None:
    shell.run("track", shell.keys(shell.add(prompt="椅子 Stühle")))
    assert "\\u6905\\u5b50 St\\xfchle" in shell.run("list", PYTHONIOENCODING="ascii").out
    assert "椅子 Stühle" in shell.run("list", PYTHONIOENCODING="utf-8").out
    assert shell.json("list", PYTHONIOENCODING="ascii").event["name"] == "椅子 Stühle"


# Proxies and certificates.


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A service's TLS context for the name service.studio, and the path of the CA bundle that trusts it."""
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("service.studio").configure_cert(context)
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(bundle)
    return context, str(bundle)


def test_a_studios_proxy_and_its_own_ca_are_used(shell: Shell, authority: tuple[ssl.SSLContext, str]) -> None:
    context, bundle = authority
    with Simulator(tls=context) as secure:
        secure.add(NOW_DONE, prompt="x", files=FILES)
        answer = secure.add(NOW_DONE, prompt="A vase", files=FILES)
        proxy = Proxy(tunnel_to=secure.root.removeprefix("https://"))
        with serving(proxy) as address:
            through = {
                "RODIN_API_URL": "https://service.studio/api/v2",
                "HTTPS_PROXY": address.replace("http://", "http://me:pass-word@"),
                "REQUESTS_CA_BUNDLE": bundle,
            }
            ran = shell.json("balance", **through)
            assert ran.code == 0 and ran.event["balance"] == 12.5
            ran = shell.json("status", "-", stdin=json.dumps(answer), **through)
            assert ran.code == 0 and ran.event["status"] == "DONE"
            ran = shell.json("doctor", **through)
            assert ran.code == 0 and "pass-word" not in ran.out and "me:****@127.0.0.1" in ran.event["environment"]["HTTPS_PROXY"]
            assert proxy.heads and all(head.startswith("CONNECT service.studio:443 ") for head in proxy.heads)
            assert API_KEY not in "".join(proxy.heads), "the proxy sees only where to"
            ran = shell.json("balance", **{**through, "REQUESTS_CA_BUNDLE": None})
            assert ran.code == 1 and "RODIN_CA_FILE" in ran.event["text"]
            ran = shell.json("balance", **{**through, "REQUESTS_CA_BUNDLE": "/gone/ca.pem"})
            assert ran.code == 1 and "REQUESTS_CA_BUNDLE" in ran.event["text"]
        ran = shell.json("balance", **{**through, "HTTPS_PROXY": f"http://me:pass-word@127.0.0.1:{closed_port()}"})
        assert ran.code == 1 and "(HTTPS_PROXY) refused" in ran.event["text"] and "pass-word" not in ran.out + ran.err
        assert secure.requests and all(asked.host == "service.studio" for asked in secure.requests)


# The parts.


def test_the_rule_of_what_is_due_is_the_same_in_the_store_and_the_agenda(tmp_path: Path) -> None:
    chance, now = random.Random(5), 1_800_000_000.0
    with closing(Store(tmp_path / "tasks.sqlite")) as store:
        for number in range(300):
            task = Task(
                new_task_id(),
                f"{number}",
                keys.Secret(f"key {number}"),
                status=chance.choice([*Status]),
                watch=chance.choice([Watch.FOLLOWING, Watch.FOLLOWING, Watch.PAUSED]),
                tracked_at=now + chance.choice([-99.0, 5.0, 99.0]),
                checked_at=chance.choice([0.0, now - 50.0, now + 9.0, now + 11.0]),
                next_check_at=now + chance.choice([-5.0, 0.0, 0.001, 60.0]),
                download=Download.NONE,
            )
            due_queue, due = DueQueue(), schedule.is_due(task, now)
            due_queue.put(task)
            assert due_queue.may_be_due(now) == due and bool(due_queue) == task.followed
            due_queue.drop(task.task_id)
            assert not due_queue and due_queue.soonest is None
            store.add(task)
            claims = store.claim_due(now, 1)
            assert [claim.task for claim in claims] == [task] * due
            assert store.claim_due(now, 1, [task.task_id]) == []
            store.forget(task.task_id)
            with store._writing() as db:
                db.execute("DELETE FROM request")


def test_requests_of_status_count_with_all_others(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    with closing(Store(tmp_path / "tasks.sqlite")) as store, closing(Store(tmp_path / "tasks.sqlite")) as other:
        for _ in range(schedule.REQUESTS_PER_MINUTE):
            assert store.reserve_request(now) == now
        assert other.reserve_request(now + 1) == now + 60
        assert other.reserve_request(now + 60) == now + 60


def test_a_key_is_quoted_by_no_exception_of_the_parser() -> None:
    key = "k" * 300
    for words in ([key], ["wait", "x", "--timeout", key], ["list", f"--{key}"]):
        with pytest.raises(BadInput) as caught:
            arguments.parser("x").parse_args(words)
        assert key not in str(caught.value)
