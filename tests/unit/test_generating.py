# SPDX-License-Identifier: GPL-3.0-or-later
"""`generate` and `settle`, run as a user runs them: paid once, whatever ends the command."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from rodin_blender.storage import locks
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Status, Task
from tests.unit import shell as shells
from tests.unit.pictures import large_file, png_file
from tests.unit.shell import FILES, RUNNING, Shell, wait_until
from tools.simulator import API_KEY

shell = shells.shell


@pytest.fixture(autouse=True)
def quick(shell: Shell) -> None:
    shell.simulator.story = "one-job"
    shell.simulator.speed = 20.0
    shell.simulator.result_files = FILES


def stored(shell: Shell) -> list[Task]:
    with closing(Store(shell.folder / "tasks.sqlite")) as store:
        return store.tasks()


def test_a_prompt_and_a_picture_become_a_model_in_a_folder(shell: Shell, tmp_path: Path) -> None:
    picture, out = png_file(tmp_path / "given.png"), tmp_path / "out"
    ran = shell.json(
        "generate", "--prompt", "A glazed vase", "--image", picture, "--tier", "gen-2", "--seed", 7, "--t-pose", "yes",
        "--to", out,
    )  # fmt: skip
    assert ran.code == 0
    accepted, final, saved = ran.events
    assert (accepted["status"], accepted["prompt"], accepted["price"], accepted["credits"]) == ("UNKNOWN", "A glazed vase", 0.5, 0.5)
    assert final["status"] == "DONE" and saved["downloaded"]
    assert (out / f"A glazed vase {saved['task_id']}" / "base_basic_pbr.glb").is_file()
    (sent,) = shell.simulator.submissions
    assert {("tier", "Gen-2"), ("seed", "7"), ("TAPose", "true"), ("mesh_mode", "Raw")} <= set(map(tuple, sent.fields))
    assert len(sent.pictures) == 1


def test_a_dry_run_prints_what_would_be_sent_and_sends_nothing(shell: Shell) -> None:
    ran = shell.json("generate", "--prompt", "A vase", "--high-pack", "yes", "--dry-run", "--count", 2)
    assert ran.code == 0 and "about 3 credits" in ran.err
    for event in ran.events:
        assert event["price"] == 1.5 and event["fields"]["addons"] == '["HighPack"]'
    assert shell.simulator.requests == [] and not (shell.folder / "tasks.sqlite").exists()


def test_the_prompt_may_come_from_standard_input(shell: Shell) -> None:
    assert shell.run("generate", "--prompt", "-", stdin="A red\nchair\n").code == 0
    assert shell.simulator.submissions[0].prompt == "A red\nchair"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say what you want to make, or add a picture."),
        (["--prompt", "x" * 1025], "1,025 characters"),
        (["--prompt", "a", "--tier", "Sketch", "--file-format", "usdz"], "usdz"),
        (["--prompt", "a", "--seed", "70000"], "Seed must lie between 0 and 65,535"),
        (["--prompt", "a", "--faces", "12"], "Faces must lie between"),
        (["--prompt", "a", "--image", "missing.png"], "cannot be read"),
        (["--prompt", "a", "--count", "0"], "--count takes a number from 1 to 100"),
        (["--prompt", "a", "--count", "3", "--max-credits", "1"], "about 1.5 credits, more than --max-credits 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(shell: Shell, words: list[str], said: str) -> None:
    ran = shell.json("generate", *words)
    assert ran.code == 2 and said in ran.event["text"]
    assert shell.simulator.requests == []


def test_studio_settings_fix_options_and_switch_generating_off(shell: Shell, tmp_path: Path) -> None:
    off = shell.json("generate", "--prompt", "a", RODIN_ALLOW_GENERATION="false")
    assert off.code == 2 and "RODIN_ALLOW_GENERATION" in off.event["text"]
    fixed = shell.json("generate", "--prompt", "a", "--tier", "Sketch", RODIN_GENERATE_TIER="Gen-2")
    assert fixed.code == 2 and "RODIN_GENERATE_TIER" in fixed.event["text"]
    dear = shell.json("generate", "--prompt", "a", "--high-pack", "yes", RODIN_MAX_CREDITS_PER_TASK="1")
    assert dear.code == 2 and "RODIN_MAX_CREDITS_PER_TASK" in dear.event["text"]
    assert shell.simulator.requests == []
    # A setting that another tier does not take is passed over.
    ran = shell.json("generate", "--prompt", "a", "--tier", "Sketch", RODIN_GENERATE_SYMMETRY="symmetric")
    assert ran.code == 0 and ran.event["options"]["symmetry"] == ""


def test_a_rejection_says_why_and_ends_with_3(shell: Shell) -> None:
    shell.simulator.fail("rodin", "refused-insufficient-fund")
    ran = shell.json("generate", "--prompt", "a")
    rejected, error = ran.events
    assert ran.code == 3 and rejected["status"] == "REJECTED" and "too few credits" in error["text"]
    assert "hyper3d.ai" in error["text"] and "charged" in error["text"]


def test_an_uncertain_one_ends_with_6_and_is_settled_in_each_way(shell: Shell) -> None:
    simulator = shell.simulator
    for way in ("--discard", "--again", "--answer"):
        simulator.fail("rodin", "taken-and-closed")
        ran = shell.json("generate", "--prompt", f"wish {way}", "--name", f"Wish {way[2:]}")
        task, error = ran.events
        assert ran.code == 6 and task["status"] == "UNCERTAIN"
        assert "went down from" in error["text"] and f"settle {task['task_id']}" in error["text"]
        asked = shell.json("status", task["task_id"])
        assert asked.code == 6 and asked.event["status"] == "UNCERTAIN"
        more = []
        if way == "--answer":
            # As it may stand in a log.
            answer = f"12:03 POST /rodin 201 {json.dumps(simulator.add('done', files=FILES))} in 2.1 s"
            more = [shell.file("rodin.log", answer)]
        before = len(simulator.submissions)
        settled = shell.json("settle", task["task_id"], way, *more)
        assert settled.code == 0
        assert len(simulator.submissions) - before == (1 if way == "--again" else 0)
    names = {task.name: task.status for task in stored(shell)}
    assert names.keys() == {"Wish again", "Wish answer"} and all(status.submitted for status in names.values())
    nothing = shell.json("settle", "Wish again", "--discard")
    assert nothing.code == 2 and "was accepted by the service" in nothing.event["text"]


def test_what_cannot_be_sent_again_ends_the_command_and_says_why(shell: Shell) -> None:
    shell.simulator.fail("rodin", "taken-and-closed")
    task_id = shell.json("generate", "--prompt", "a").events[0]["task_id"]
    shutil.rmtree(shell.folder / "outbox" / task_id)
    ran = shell.json("settle", task_id, "--again")
    assert ran.code == 2 and "no longer on the disk" in ran.event["text"]
    assert [task.status for task in stored(shell)] == [Status.UNCERTAIN]


@pytest.mark.parametrize("command", [("settle", "--again"), ("settle", "--discard"), ("forget",)], ids=" ".join)
def test_while_another_program_has_it_in_hand_it_stays_and_the_command_ends_and_says_why(
    shell: Shell, command: tuple[str, ...]
) -> None:
    shell.simulator.fail("rodin", "taken-and-closed")
    task_id = shell.json("generate", "--prompt", "a").events[0]["task_id"]
    with locks.acquire(shell.folder / "outbox" / task_id / ".lock"):
        ran = shell.json(command[0], task_id, *command[1:])
    assert ran.code == 1 and "wait for the answer" in ran.events[-1]["text"] and "'a'" in ran.events[-1]["text"]
    assert Status.UNCERTAIN in {task.status for task in stored(shell)} and len(shell.simulator.submissions) == 1


def test_what_a_killed_program_was_sending_is_settled_after_a_look(shell: Shell) -> None:
    shell.simulator.fail("rodin", "taken-and-hung")
    process = shell.start("generate", "--prompt", "a")
    wait_until(lambda: bool(shell.simulator.submissions))
    process.kill()
    process.communicate()
    (task,) = stored(shell)
    ran = shell.json("settle", task.task_id, "--discard")
    assert ran.code == 2 and f"run `wait {task.task_id}`" in ran.event["text"]
    assert shell.json("wait", task.task_id).code == 6
    assert shell.json("settle", task.task_id, "--discard").code == 0 and stored(shell) == []


def test_an_answer_that_is_none_settles_nothing(shell: Shell) -> None:
    shell.simulator.fail("rodin", "taken-and-closed")
    task_id = shell.json("generate", "--prompt", "a").events[0]["task_id"]
    for content in ("", "{}", '{"error": "INSUFFICIENT_FUND", "message": "no"}', "key"):
        ran = shell.json("settle", task_id, "--answer", shell.file("answer.json", content))
        assert ran.code == 2 and ran.event["text"]
        assert shell.simulator.asked("status") == []
    assert [task.status for task in stored(shell)] == [Status.UNCERTAIN]


def test_what_is_sent_again_is_held_to_the_studio_s_rules(shell: Shell) -> None:
    shell.simulator.fail("rodin", "taken-and-closed")
    task_id = shell.json("generate", "--prompt", "a", "--high-pack", "yes").events[0]["task_id"]
    before = len(shell.simulator.submissions)
    for rule in ({"RODIN_ALLOW_GENERATION": "false"}, {"RODIN_MAX_CREDITS_PER_TASK": "1"}):
        ran = shell.json("settle", task_id, "--again", **rule)
        assert ran.code == 2 and next(iter(rule)) in ran.event["text"]
    assert len(shell.simulator.submissions) == before and [task.status for task in stored(shell)] == [Status.UNCERTAIN]


def test_what_was_not_accepted_cannot_be_downloaded_or_paused_and_says_so(shell: Shell) -> None:
    shell.simulator.fail("rodin", "refused-insufficient-fund")
    task_id = shell.json("generate", "--prompt", "a").events[0]["task_id"]
    for command in ("download", "pause", "resume"):
        ran = shell.json(command, task_id)
        assert ran.code == 2 and "was not accepted by the service" in ran.event["text"]


def test_ctrl_c_loses_nothing_and_does_not_say_to_run_it_again(shell: Shell, tmp_path: Path) -> None:
    shell.simulator.fail("rodin", "taken-and-hung")
    ran = shell.interrupted(
        "generate", "--prompt", "a", "--json", when=lambda: bool(shell.simulator.submissions)
    )
    assert ran.code == 130 and "would generate, and cost, once more" in ran.err
    (task,) = shell.json("list").events
    assert task["status"] in ("SENDING", "UNCERTAIN")
    waited = shell.json("wait", task["task_id"])
    assert waited.code == 6 and waited.events[0]["status"] == "UNCERTAIN"


def test_once_it_is_paid_for_nothing_advises_to_run_the_same_command_again(shell: Shell, tmp_path: Path) -> None:
    shell.simulator.story = [[(0.0, "Generating")]]
    late = shell.json("generate", "--prompt", "a", "--wait", "--timeout", 1)
    assert late.code == 4
    stopped = shell.interrupted(
        "generate", "--prompt", "b", "--wait", "--json", when=lambda: len(shell.simulator.asked("status")) > 6
    )
    assert stopped.code == 130
    shell.simulator.story = "done"
    shell.simulator.result_files = {}
    no_files = shell.json("generate", "--prompt", "c", "--to", tmp_path / "out")
    assert no_files.code == 1
    for ran in (late, stopped, no_files):
        said = ran.events[-1]["text"]
        assert "would generate, and cost, once more" in said and "again" not in said and "un the command" not in said


@pytest.mark.parametrize(
    ("command", "said"), [("", "does not accept the API key"), ("once", "The API key command failed")]
)
def test_what_ends_the_command_while_it_is_sent_says_where_it_is_found(
    shell: Shell, tmp_path: Path, command: str, said: str
) -> None:
    """Such as a key that was withdrawn just then, which is found out by another task of the list."""
    answer = shell.add([[(0.0, "Generating")]])
    assert shell.json("track", "-", stdin=json.dumps(answer)).code == 0
    shell.simulator.fail("rodin", "taken-and-hung")
    key: dict[str, str | None] = {}
    if command:
        # A password manager that is locked again when it is asked a second time.
        flag = tmp_path / "asked"
        line = f"test -e {flag} && exit 1; touch {flag}; echo {API_KEY}"
        key = {"RODIN_API_KEY": None, "RODIN_API_KEY_COMMAND": f"sh -c '{line}'"}
    process = shell.start("generate", "--prompt", "a", "--json", RODIN_SHORTEST_INTERVAL="1", **key)
    wait_until(lambda: shell.simulator.submissions)
    shell.simulator.fail("status", "401!")
    shell.simulator.fail("check_balance", "401!")
    ran = shell.end(process)
    assert ran.code == 2 and said in ran.events[-1]["text"]
    assert "would generate, and cost, once more" in ran.events[-1]["text"]


def test_killed_at_any_moment_nothing_is_sent_twice_and_nothing_is_lost(shell: Shell, tmp_path: Path) -> None:
    """kill -9 at random moments from the start to the stored answer; the service counts."""
    pictures = [png_file(tmp_path / "1.png"), large_file(tmp_path / "2.png", 3_000_000)]
    simulator, moments = shell.simulator, random.Random(5)
    # What the tests' first program needs to begin is no part of the time in which one is killed.
    shell.run("list")
    began = time.monotonic()
    shell.run("generate", "--prompt", "whole", "--image", pictures[0], "--image", pictures[1])
    whole = time.monotonic() - began
    count, killed = int(os.environ.get("RODIN_KILLS", "6")), 0
    for number in range(3 * count):
        process = shell.start("generate", "--prompt", f"wish {number}", "--image", pictures[0], "--image", pictures[1])
        time.sleep(moments.uniform(0.2, 0.9) * whole)
        if process.poll() is None:
            killed += 1
        else:
            # The whole one was measured while the machine was busier.
            whole *= 0.7
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if killed == count:
            break
    assert killed == count
    time.sleep(1.0)
    # Whoever looks next finds what became of each.
    shell.run("generate", "--prompt", "last")
    tasks = {task.prompt: task for task in stored(shell)}
    accepted = [sent.prompt for sent in simulator.submissions if not sent.outcome]
    assert len(accepted) == len(set(accepted))
    for prompt in accepted:
        assert tasks[prompt].status.submitted or tasks[prompt].status is Status.UNCERTAIN, prompt
    for prompt, task in tasks.items():
        if task.status.submitted:
            assert prompt in accepted
        if task.status is Status.UNSENT:
            assert prompt not in accepted
    for folder in (shell.folder / "outbox").iterdir():
        if not folder.name.startswith("."):
            sizes = [path.stat().st_size for path in sorted(folder.glob("*.png"))]
            assert sizes in ([], [path.stat().st_size for path in pictures])


def test_what_was_accepted_is_said_to_wait_for_its_first_answer(shell: Shell) -> None:
    shell.simulator.story = [RUNNING]
    ran = shell.run("generate", "--prompt", "A vase")
    assert ran.code == 0 and "A vase  accepted, waiting for the first answer" in ran.out


def test_an_answer_to_another_prompt_or_task_settles_nothing(shell: Shell) -> None:
    shell.simulator.fail("rodin", "taken-and-closed")
    assert shell.run("generate", "--prompt", "A vase", "--name", "Vase").code == 6
    other = shell.file("other.json", json.dumps(shell.add(prompt="A pot")))
    ran = shell.run("settle", "Vase", "--answer", other)
    assert ran.code == 2 and "the answer to another prompt, 'A pot'" in ran.err
    known = shell.add(prompt="A vase")
    shell.run("track", "-", "--name", "Known", stdin=json.dumps(known))
    another_key = {**known, "jobs": {"uuids": [], "subscription_key": f"{known['uuid']}-another-subscription-key"}}
    ran = shell.run("settle", "Vase", "--answer", shell.file("known.json", json.dumps(another_key)))
    assert ran.code == 2 and "the answer to 'Known', which is in the list already" in ran.err
    told = shell.file("log.txt", f"POST 201 {json.dumps(shell.add(prompt='a VASE'))} in 2 s")
    ran = shell.run("settle", "Vase", "--answer", told)
    assert ran.code == 0 and "nobody could check" not in ran.err, ran.err


def test_an_answer_without_a_prompt_settles_and_says_what_nobody_checked(shell: Shell) -> None:
    shell.simulator.fail("rodin", "taken-and-closed")
    shell.run("generate", "--prompt", "A vase", "--name", "Vase")
    ran = shell.run("settle", "Vase", "--answer", shell.file("answer.json", json.dumps(shell.add())))
    assert ran.code == 0 and "nobody could check that it is the one to 'Vase'" in ran.err
