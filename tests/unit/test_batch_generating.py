# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch from words and pictures: each row is paid for once, whatever ends a run, and never without a word."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import resource
import shutil
import signal
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.command_line import host, planning, tables
from rodin_blender.service.keys import Secret
from rodin_blender.storage.outbox import Outbox
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Status, Task
from tests.unit import shell as shells
from tests.unit.pictures import large_file, png_file
from tests.unit.shell import FILES, Ran, Shell, results_in, wait_until

shell = shells.shell


class Rows:
    """A table of prompts and a folder, and the program on them."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.simulator = shell.simulator
        self.out = shell.folder.parent / "out"

    def write(self, *rows: dict[str, Any]) -> Path:
        text = io.StringIO()
        written = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
        written.writeheader()
        written.writerows(rows)
        return self.shell.file("show.csv", text.getvalue())

    @property
    def file(self) -> Path:
        return self.shell.folder.parent / "given" / "show.csv"

    @property
    def words(self) -> list[object]:
        return ["batch", self.file, "--to", self.out]

    def run(self, *words: object, **how: Any) -> Ran:
        return self.shell.json(*self.words, *words, **{"fast": True, **how})

    def check(self, *words: object, **how: Any) -> Ran:
        return self.shell.json("batch", self.file, "--check", *words, **how)

    @property
    def paid(self) -> Counter[str]:
        """How often the service took each prompt."""
        return Counter(sent.prompt for sent in self.simulator.submissions if not sent.outcome)

    @property
    def results(self) -> list[dict[str, Any]]:
        return results_in(self.out)

    @property
    def tasks(self) -> dict[str, Task]:
        with closing(Store(self.out / "tasks.sqlite")) as store:
            return {task.name: task for task in store.tasks()}


@pytest.fixture
def rows(shell: Shell) -> Rows:
    shell.simulator.story = "one-job"
    shell.simulator.speed = 20.0
    shell.simulator.balance = 1000.0
    shell.simulator.result_files = FILES
    return Rows(shell)


def by_name(ran: Ran, event: str = "task") -> dict[str, dict[str, Any]]:
    return {said["name"]: said for said in ran.events if said["event"] == event}


# All well.


def test_rows_of_words_pictures_options_and_keys_become_models(rows: Rows, shell: Shell) -> None:
    picture = png_file(rows.write().parent / "pot.png")
    old = shell.add([[(0.0, "Done")]])
    rows.write(
        {"name": "", "prompt": "A glazed vase", "tier": "Gen-2", "T Pose": "yes", "seed": "7"},
        {"name": "Old", "subscription_key": shells.key_of(old), "task_uuid": old["uuid"]},
        {"name": "Pot", "images": f"{picture.name}; {picture}"},
    )
    ran = rows.run()
    assert ran.code == 0, ran.err
    assert by_name(ran, "result").keys() == {"A glazed vase", "Old", "Pot"} and len(ran.events) == 3
    sent = {one.prompt: one for one in rows.simulator.submissions}
    assert {("tier", "Gen-2"), ("seed", "7"), ("TAPose", "true")} <= set(map(tuple, sent["A glazed vase"].fields))
    assert len(sent[""].pictures) == 2 and len(sent) == 2
    for result in rows.results:
        assert {path.name for path in Path(result["folder"]).iterdir()} == set(FILES)
    count = len(rows.simulator.requests)
    again = rows.run()
    assert again.code == 0 and again.out == "" and len(rows.simulator.requests) == count
    assert not shell.folder.exists(), "the window's list is not flooded"


def test_a_changed_row_is_a_new_one_and_all_others_stay(rows: Rows) -> None:
    rows.write({"prompt": "a"}, {"prompt": "b"}, {"prompt": "b"})
    assert rows.run().code == 0
    # A row before them, an empty column, and another setting change none of them.
    rows.write({"prompt": "new", "tier": ""}, {"prompt": "a", "tier": ""}, {"prompt": "b"}, {"prompt": "b", "tier": "Sketch"})
    ran = rows.run(RODIN_GENERATE_MATERIAL="Shaded")
    assert ran.code == 0 and rows.paid == {"a": 1, "b": 3, "new": 1}
    assert [sent.prompt for sent in rows.simulator.submissions if sent.tier == "Sketch"] == ["b"]


def test_a_changed_picture_makes_a_row_a_new_one(rows: Rows) -> None:
    folder = rows.write().parent
    png_file(folder / "pot.png")
    rows.write({"images": "pot.png"})
    assert rows.run().code == 0
    (folder / "moved").mkdir()
    shutil.move(folder / "pot.png", folder / "moved" / "pot.png")
    rows.write({"images": "moved/pot.png"})
    assert rows.run().code == 0 and rows.paid[""] == 1, "the same picture elsewhere"
    large_file(folder / "moved" / "pot.png", 200_000)
    assert rows.run().code == 0 and rows.paid[""] == 2


def test_the_id_of_a_row_stays_for_all_versions(shell: Shell, tmp_path: Path) -> None:
    """Another way to make it would have all rows of a folder paid for once more."""
    table = tables.read(b"name,prompt,tier\nVase,A glazed vase,\n,A glazed vase,gen-2\n,A glazed vase,Gen-2\n")
    items, wrong = planning.Planner(host.plain(), tmp_path).items(table.rows)
    assert wrong == []
    assert [item.request.task_id for item in items if item.request] == ["24048e47ce8c", "c0e26b367755", "40986bc3e758"]


def begun(*tasks: Task) -> planning.EarlierRuns:
    return planning.earlier_runs(tasks, (), Outbox(Path("nowhere")), ["journaled"])


def test_what_took_the_place_of_another_stands_for_its_row() -> None:
    new = planning.retry_id("a")
    first, second = Task("a", "A", Secret(""), status=Status.REJECTED), Task(new, "A", Secret(""), parent="a")
    assert begun().last("a") == "" and begun().last("journaled") == "journaled"
    assert begun(first).last("a") == "a" and begun(first, second).last("a") == new
    # The first of two was removed when the second took its place, by `settle --again`.
    assert begun(Task("random", "A", Secret(""), parent="a")).last("a") == "random"
    # A kill came before the second could take the place of one that may have been paid.
    uncertain = replace(first, status=Status.UNCERTAIN)
    assert begun(uncertain, replace(second, status=Status.UNSENT)).last("a") == "a"
    assert not begun(uncertain).may_be_retried("a") and begun(first).may_be_retried("a")


# Before anything is sent.


def test_a_check_tells_all_that_is_wrong_and_sends_nothing(rows: Rows) -> None:
    (rows.write().parent / "text.png").write_text("no picture")
    rows.write(
        {"name": "A", "prompt": "a", "tier": "Sketch", "file_format": "usdz"},
        {"name": "B", "prompt": "x" * 1025},
        {"name": "C", "images": "missing.png"},
        {"name": "D", "images": "text.png"},
        {"name": "A", "prompt": "a"},
        {"name": "E", "prompt": "e", "seed": "many"},
        {"name": "F"},
    )
    ran = rows.check(RODIN_API_KEY=None)
    assert ran.code == 2 and [said["line"] for said in ran.events[:-1]] == [2, 3, 4, 5, 6, 7, 8]
    ran = rows.run()
    assert ran.code == 2 and "line 2: " in ran.event["text"] and not rows.out.exists()
    assert rows.simulator.requests == []


def test_a_check_tells_the_price_and_what_is_left(rows: Rows) -> None:
    rows.write({"prompt": "a"}, {"prompt": "b", "high_pack": "yes"})
    ran = rows.check(RODIN_API_KEY=None)
    assert ran.code == 0 and [said["price"] for said in ran.events] == [0.5, 1.5, 2.0]
    assert (ran.events[-1]["left"], ran.events[-1]["spent"]) == (2, 0.0)
    assert rows.run("--max-credits", "1").code == 2, "as far as the money goes"
    assert rows.paid == {"a": 1}
    ran = rows.check("--to", rows.out)
    assert [said.get("begun") for said in ran.events] == [True, False, None]
    assert (ran.events[-1]["left"], ran.events[-1]["price"], ran.events[-1]["spent"]) == (1, 1.5, 0.5)
    assert rows.check("--to", rows.out, "--max-credits", "1.9").code == 2
    # A run that is at work may be in the middle of a line.
    with (rows.out / "results.jsonl").open("a") as file:
        file.write('{"half')
    assert rows.check("--to", rows.out).code == 0 and (rows.out / "results.jsonl").read_text().endswith('{"half')
    assert rows.check("--to", rows.out, "--max-credits", "2").code == 0


def test_a_studio_may_forbid_it_and_limit_it(rows: Rows) -> None:
    rows.write({"prompt": "a", "tier": "Sketch"})
    for variables in ({"RODIN_ALLOW_GENERATION": "false"}, {"RODIN_GENERATE_TIER": "Gen-2"}, {"RODIN_MAX_CREDITS_PER_TASK": "0.4"}):
        ran = rows.run(**variables)
        assert ran.code == 2 and next(iter(variables)) in ran.event["text"]
    assert rows.simulator.requests == []


def test_two_thousand_rows_are_checked_quickly(rows: Rows) -> None:
    picture = png_file(rows.write().parent / "pot.png")
    rows.write(*({"name": f"Model {n}", "prompt": f"a vase {n}", "images": picture.name, "seed": n} for n in range(2000)))
    began = time.monotonic()
    ran = rows.check()
    assert ran.code == 0 and ran.events[-1]["price"] == 1000.0
    assert time.monotonic() - began < 10.0, "2 s on a free machine"
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 200_000 or os.environ.get("PYTEST_XDIST_WORKER")


# Money.


def test_it_sends_as_far_as_the_money_goes_also_when_run_again(rows: Rows) -> None:
    rows.write(*({"prompt": text} for text in "abcd"))
    for _attempt in range(2):
        ran = rows.run("--max-credits", "1")
        assert ran.code == 2 and rows.paid == {"a": 1, "b": 1}
        said = by_name(ran)
        assert said.keys() == {"c", "d"} and "1 of --max-credits 1 are spent" in said["c"]["message"]
    assert rows.run("--max-credits", "2").code == 0 and rows.paid == dict.fromkeys("abcd", 1)


def test_it_keeps_to_what_the_account_may_have_at_once(rows: Rows) -> None:
    rows.simulator.parallel = 1
    rows.write(*({"prompt": text} for text in "abcd"))
    ran = rows.run()
    assert ran.code == 0 and rows.paid == dict.fromkeys("abcd", 1)
    assert "waiting for the service to take more" in ran.err, "it is counted"
    sent = rows.simulator.submissions
    assert len(sent) > 4
    for number, one in enumerate(sent):
        taken = next(at for at, other in enumerate(sent) if other.prompt == one.prompt and not other.outcome)
        meanwhile = {other.prompt for other in sent[number:taken]} - {one.prompt}
        assert len(meanwhile) <= 1, "while one waits, no other is tried but what was on its way already"


def test_an_account_without_credits_is_not_asked_for_every_row(rows: Rows) -> None:
    rows.simulator.balance = 1.0
    # A request takes its time, as it does on a real line: the batch hears of an answer before it has sent all.
    rows.simulator.upload_rate = 2000
    rows.write(*({"prompt": text} for text in "abcdefghi"))
    ran = rows.run()
    rows.simulator.upload_rate = None
    assert ran.code == 1 and rows.paid.total() == 2 and len(rows.simulator.submissions) <= 6
    assert len(by_name(ran)) == 7 and "too few credits" in ran.err
    rows.simulator.balance = 100.0
    ran = rows.run()
    assert ran.code == 3 and all(said["status"] == "REJECTED" for said in by_name(ran).values())
    assert rows.run("--retry-failed").code == 0 and rows.paid == dict.fromkeys("abcdefghi", 1)


# What does not go well.


def test_rejected_ones_fail_and_are_sent_again_when_told_to(rows: Rows) -> None:
    rows.simulator.fail("rodin", "refused-image-content-violation")
    rows.write({"prompt": "a"}, {"prompt": "b"})
    for _attempt in range(2):
        ran = rows.run()
        assert ran.code == 3 and len(rows.results) == 1 and rows.paid.total() == 1
        (said,) = by_name(ran).values()
        assert said["status"] == "REJECTED" and "--retry-failed" in said["message"]
        assert "moderation" in ran.events[-1]["text"]
    ran = rows.run("--retry-failed")
    assert ran.code == 0 and rows.paid == {"a": 1, "b": 1} and len(rows.results) == 2
    assert rows.run("--retry-failed").code == 0 and rows.paid == {"a": 1, "b": 1}


def test_failed_ones_are_paid_for_again_only_when_told_to(rows: Rows) -> None:
    rows.simulator.story = [[(0.0, "Failed")]]
    rows.write({"prompt": "a"})
    for attempt in range(2):
        ran = rows.run()
        assert ran.code == 3 and rows.paid == {"a": 1} and ran.events[0]["event"] == ("result", "task")[attempt]
    rows.simulator.story = [[(0.0, "Done")]]
    assert rows.run("--retry-failed").code == 0 and rows.paid == {"a": 2}
    assert [result["status"] for result in rows.results] == ["FAILED", "DONE"]
    assert rows.results[1]["parent"] == rows.results[0]["task_id"]
    assert rows.run().code == 0 and rows.paid == {"a": 2}


@pytest.mark.parametrize("way", ["--answer", "--again", "--discard"])
def test_an_uncertain_one_is_left_to_settle(rows: Rows, way: str) -> None:
    rows.simulator.fail("rodin", "taken-and-closed")
    rows.write({"prompt": "a"}, {"prompt": "b"})
    for _attempt in range(1 if way == "--discard" else 2):
        ran = rows.run("--retry-failed")
        assert ran.code == 6 and rows.paid.total() == 2
        (said,) = by_name(ran).values()
        assert said["status"] == "UNCERTAIN" and f"settle {said['task_id']} --batch {rows.out}" in said["message"]
    more: list[object] = []
    if way == "--answer":
        more = [rows.shell.file("answer.json", json.dumps(rows.shell.add("done")))]
    settled = rows.shell.json("settle", said["task_id"], "--batch", rows.out, way, *more)
    assert settled.code == 0
    if way == "--discard":
        # What is discarded lies there for a day only.
        shutil.rmtree(rows.out / "outbox")
    ran = rows.run()
    if way == "--discard":
        (said,) = by_name(ran).values()
        assert ran.code == 3 and "It was discarded" in said["message"] and rows.paid.total() == 2
        assert rows.run("--retry-failed").code == 0 and rows.paid.total() == 3
    else:
        assert ran.code == 0 and rows.paid.total() == (3 if way == "--again" else 2)
    count = rows.paid.total()
    assert rows.run().code == 0 and rows.paid.total() == count


def test_a_lost_list_has_nothing_paid_twice(rows: Rows) -> None:
    rows.write({"prompt": "a"}, {"prompt": "b"})
    assert rows.run().code == 0
    for path in rows.out.glob("tasks.*"):
        path.unlink()
    assert rows.run().code == 0 and rows.paid == {"a": 1, "b": 1}
    (rows.out / "results.jsonl").unlink()
    assert rows.run().code == 0 and rows.paid == {"a": 1, "b": 1} and len(rows.results) == 2


def test_it_counts_and_tells_each_change(rows: Rows) -> None:
    rows.simulator.speed = 1.0
    rows.simulator.story = [[(0.0, "Waiting"), (1.0, "Generating"), (3.0, "Done")]]
    rows.write({"prompt": "a"}, {"prompt": "b"})
    ran = rows.run()
    assert ran.code == 0
    for what in ("sending", "generating", "done", "2 rows: "):
        assert what in ran.err


# Killed.

PROMPTS = int(os.environ.get("RODIN_PROMPTS", "24"))
KILLS = int(os.environ.get("RODIN_KILLS", "5"))


@pytest.mark.timeout(1200)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_at_any_moment_and_run_again_each_row_is_paid_for_once(rows: Rows) -> None:
    chance = random.Random(7)
    picture = png_file(rows.write().parent / "pot.png")
    names = [f"Model {number:03}" for number in range(PROMPTS)]
    rows.write(*({"name": name, "prompt": f"make {name}", "images": picture.name} for name in names))
    for kill in range(KILLS):
        goal = PROMPTS * kill // KILLS
        process = rows.shell.start(*rows.words, fast=True)
        wait_until(lambda goal=goal, process=process: rows.paid.total() >= goal or process.poll() is not None, 120.0)
        time.sleep(chance.uniform(0.0, 0.4))
        assert process.poll() is None, "it must not be over before its last kill"
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        rows.shell.printed += [out.decode(), err.decode()]
    time.sleep(0.5)
    ran = rows.run()
    # What was just on its way when the kill came is uncertain, and never sent again by itself.
    uncertain = [task for task in rows.tasks.values() if task.status is Status.UNCERTAIN]
    assert ran.code == (6 if uncertain else 0), ran.err
    assert max(rows.paid.values()) == 1
    for task in uncertain:
        if not rows.paid[task.prompt]:
            assert rows.shell.json("settle", task.task_id, "--batch", rows.out, "--again", fast=True).code == 0
    ran = rows.run()
    lost = [task for task in rows.tasks.values() if task.status is Status.UNCERTAIN]
    assert set(rows.paid) == {f"make {name}" for name in names} and max(rows.paid.values()) == 1
    assert len(rows.results) == PROMPTS - len(lost) == len({result["task_id"] for result in rows.results})
    print(f"{PROMPTS} prompts, {KILLS} kills: {rows.paid.total()} accepted, {len(rows.results)} results, {len(uncertain)} uncertain")
    asked = Counter(asked.file for asked in rows.simulator.asked("files") if not asked.range)
    # A kill can hit what is just on its way: of two models at a time.
    assert sum(asked.values()) - len(rows.results) * len(FILES) <= 2 * KILLS
