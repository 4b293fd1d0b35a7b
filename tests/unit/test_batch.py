# SPDX-License-Identifier: GPL-3.0-or-later
"""Many tasks of a file, followed and downloaded into one folder, and gone on with after whatever cut that short."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.unit import shell as shells
from tests.unit.shell import FILES, RUNNING, Ran, Shell, key_of, results_in, wait_until

shell = shells.shell

NOW_DONE = [[(0.0, "Done")]]
NOW_FAILED = [[(0.0, "Failed")]]
NOW_IN_PART = [[(0.0, "Done")], [(0.0, "Failed")]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


UUID = "123e4567-e89b-12d3-a456-42661417{:04d}"


def table(*rows: tuple[str, dict[str, Any]]) -> str:
    """CSV of names and generation answers."""
    text = io.StringIO()
    written = csv.writer(text)
    written.writerow(["name", "subscription_key", "task_uuid"])
    written.writerows([name, key_of(answer), answer["uuid"]] for name, answer in rows)
    return text.getvalue()


class Batch:
    """A file and a folder, and the program on them."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.out = shell.folder.parent / "out"
        self.saved: dict[str, dict[str, int]] = {}

    def write(self, *rows: tuple[str, dict[str, Any]]) -> Path:
        return self.shell.file("show.csv", table(*rows))

    @property
    def words(self) -> list[object]:
        return ["batch", self.shell.folder.parent / "given" / "show.csv", "--to", self.out]

    def run(self, *words: object, **how: Any) -> Ran:
        return self.shell.json(*self.words, *words, **how)

    def results_so_far(self) -> list[dict[str, Any]]:
        """Those whose lines are whole."""
        path = self.out / "results.jsonl"
        content = path.read_bytes() if path.exists() else b""
        return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]

    @property
    def results(self) -> list[dict[str, Any]]:
        return results_in(self.out)

    @property
    def statuses(self) -> dict[str, str]:
        found = {result["name"]: result["status"] for result in self.results}
        assert len(found) == len(self.results), "a line for each"
        return found

    def check_folders(self) -> None:
        """Each result's folder holds its whole files and nothing else, and there is no other folder."""
        for result in self.results:
            if result["downloaded"]:
                there = {path.name: path.read_bytes() for path in Path(result["folder"]).iterdir()}
                assert there == FILES, result["name"]
        folders = {str(path) for path in self.out.iterdir() if path.is_dir()}
        assert folders == {result["folder"] for result in self.results if result["folder"]}

    def files_asked(self) -> int:
        return len(self.shell.simulator.asked("files"))


@pytest.fixture
def made(shell: Shell) -> Batch:
    return Batch(shell)


# The file.


def test_a_wrong_file_ends_with_2_before_anything_is_made(made: Batch, tmp_path: Path) -> None:
    made.shell.file("show.csv", "name\nA\n")
    ran = made.run()
    assert ran.code == 2 and "line 1: The first line must name the columns" in ran.event["text"] and not made.out.exists()
    key = "k" * 60
    made.shell.file("show.csv", f"name,subscription_key,task_uuid\n,,\nA,{key},x\n" + f"B,{key},\n" * 9)
    ran = made.run()
    assert ran.code == 2 and "line 3: This is not a task uuid." in ran.event["text"] and "5 places" in ran.event["text"]
    assert key not in ran.out + ran.err and not made.out.exists()
    assert made.shell.json("batch", made.words[1]).code == 2, "neither --to nor --check"
    ran = made.shell.json("batch", tmp_path / "gone.csv", "--to", made.out)
    assert ran.code == 2 and "No such file or directory" in ran.event["text"] and not made.out.exists()


# All well.


def test_all_of_a_file_are_followed_and_downloaded_and_told_at_once(made: Batch) -> None:
    shell = made.shell
    answers = {name: shell.add([RUNNING]) for name in "CAB"}
    made.write(*answers.items())
    process = shell.start(*made.words, "--json")
    for count, answer in enumerate(answers.values(), 1):
        shell.simulator.end(answer)
        wait_until(lambda count=count: len(made.results_so_far()) == count)
    ran = shell.end(process)
    assert ran.code == 0 and [event["name"] for event in ran.events] == ["C", "A", "B"]
    assert made.results == ran.events and made.statuses == dict.fromkeys("CAB", "DONE")
    made.check_folders()
    assert (made.out / "results.jsonl").read_text().count("\n") == 3
    count = len(shell.simulator.requests)
    again = made.run()
    assert again.code == 0 and again.out == "" and len(shell.simulator.requests) == count
    for result in made.results:
        assert f"{result['name']}  done before, in {result['folder']}" in again.err, "it is not silent"
    assert f"{len(made.results)} rows: {len(made.results)} with a result." in again.err
    assert not shell.folder.exists(), "the window's list is not flooded"


def test_generation_answers_are_taken_as_they_came(made: Batch) -> None:
    answers = [made.shell.add(NOW_DONE, prompt=f"Model {n}") for n in range(3)]
    path = made.shell.file("answers.jsonl", "".join(json.dumps(answer) + "\n" for answer in answers))
    ran = made.shell.run("batch", path, "--to", made.out)
    assert ran.code == 0 and sorted(line.split("  ")[0] for line in ran.out.splitlines()) == [f"Model {n}" for n in range(3)]
    made.check_folders()


def test_a_check_tells_each_row_and_needs_neither_key_nor_service(made: Batch) -> None:
    path = made.write(("B", made.shell.add(NOW_DONE)), ("A", made.shell.add(NOW_DONE)))
    ran = made.shell.json("batch", path, "--check", RODIN_API_KEY=None)
    assert ran.code == 0
    assert [(event["number"], event["line"], event["name"]) for event in ran.events[:-1]] == [(1, 2, "B"), (2, 3, "A")]
    assert (ran.events[-1]["rows"], ran.events[-1]["generate"], ran.events[-1]["price"]) == (2, 0, 0.0)
    assert made.shell.simulator.requests == [] and not made.shell.folder.exists()


def test_a_check_tells_all_that_is_wrong_with_lines(made: Batch) -> None:
    lines = ["name;subscription_key;task_uuid", ";;", "A;key-a;x", f"B;key-b;{UUID.format(1)}", f"B;key-b;{UUID.format(2)}", "C;;"]
    ran = made.shell.json("batch", made.shell.file("show.csv", "\n".join(lines)), "--check")
    assert ran.code == 2 and "4 mistakes" in ran.events[-1]["text"]
    assert [(event["line"], event["text"].partition(": ")[2]) for event in ran.events[:-1]] == [
        (3, next(event["text"] for event in ran.events if event.get("line") == 3).partition(": ")[2]),
        (5, "This has the name of line 4. Each row needs one of its own."),
        (5, "This has the subscription_key of line 4. Each row needs one of its own."),
        (6, next(event["text"] for event in ran.events if event.get("line") == 6).partition(": ")[2]),
    ]


def test_an_error_answer_among_good_ones_is_told_and_the_others_are_had(made: Batch) -> None:
    good = [made.shell.add(NOW_DONE, prompt="A vase") for _ in range(2)]
    answers = [good[0], {"error": "INSUFFICIENT_FUND", "message": "no"}, good[1]]
    path = made.shell.file("show.csv", "".join(json.dumps(answer) + "\n" for answer in answers))
    for _attempt in range(2):
        ran = made.shell.json("batch", path, "--to", made.out)
        assert ran.code == 3 and "line 2: This is an error answer (INSUFFICIENT_FUND: no)" in ran.events[-1]["text"]
        assert [event["name"] for event in ran.events if event["event"] == "task"] == ["Line 2"]
        assert made.statuses == {"A vase": "DONE", "A vase 2": "DONE"}


# What does not go well.


def test_failed_tasks_get_their_results_and_end_with_3(made: Batch) -> None:
    shell = made.shell
    made.write(("Good", shell.add(NOW_DONE)), ("Bad", shell.add(NOW_FAILED)), ("Half", shell.add(NOW_IN_PART)))
    for attempt in range(2):
        ran = made.run()
        assert ran.code == 3 and "2 of 3 tasks failed or failed in part" in ran.events[-1]["text"]
        assert made.statuses == {"Good": "DONE", "Bad": "FAILED", "Half": "PARTLY_FAILED"}
        assert [event["event"] for event in ran.events] == [["result"] * 3 + ["error"], ["task"] * 2 + ["error"]][attempt]
    assert made.files_asked() == 4
    made.check_folders()


def test_one_that_the_service_does_not_know_leaves_the_others_and_is_tried_again(made: Batch) -> None:
    shell = made.shell
    unknown = shell.add(NOW_DONE, faults=["no-such-task"])
    made.write(("A", shell.add(NOW_DONE)), ("B", unknown), ("C", shell.add(NOW_DONE)))
    ran = made.run()
    assert ran.code == 1 and made.statuses == {"A": "DONE", "C": "DONE"}
    assert "1 of 3 tasks have no result; run it again to try once more. 'B': The service knows no such task" in ran.events[-1]["text"]
    count = len(shell.simulator.requests)
    assert made.run().code == 0 and made.statuses == {"A": "DONE", "C": "DONE", "B": "DONE"}
    assert len(shell.simulator.requests) == count + 4, "asked about B alone"
    made.check_folders()


def test_one_whose_files_do_not_come_is_fetched_by_the_next_run_alone(made: Batch) -> None:
    shell = made.shell
    names = [f"Model {n}" for n in range(4)]
    made.write(*((name, shell.add(NOW_DONE)) for name in names))
    shell.simulator.fail("files", "404")
    ran = made.run()
    assert made.files_asked() == 8, "all others were asked for"
    assert ran.code == 1 and len(made.statuses) == 3 and "did not arrive" in ran.events[-1]["text"]
    assert "Run it again to go on." in ran.events[-1]["text"]
    before, count = made.statuses, made.files_asked()
    assert made.run().code == 0
    assert made.results[:3] == [result for result in made.results if result["name"] in before]
    assert sorted(made.statuses) == names and made.files_asked() == count + 1
    made.check_folders()


def test_a_uuid_that_the_service_does_not_know_can_be_put_right_in_the_file(made: Batch) -> None:
    answer = made.shell.add(NOW_DONE)
    made.write(("A", {**answer, "uuid": UUID.format(1)}))
    ran = made.run()
    assert ran.code == 1 and "knows no task with this uuid" in ran.events[-1]["text"]
    assert "knows no task with this uuid" in ran.events[0]["message"] and ran.events[0]["event"] == "task"
    assert made.run().code == 1, "as long as it is not put right"
    made.write(("A", answer))
    assert made.run().code == 0 and made.results[0]["task_uuid"] == answer["uuid"]
    made.check_folders()


def test_another_uuid_for_a_key_is_another_model(made: Batch) -> None:
    first, second = made.shell.add(NOW_DONE), made.shell.add(NOW_DONE, files={"other.glb": FILES["base_basic_pbr.glb"]})
    made.write(("A", first))
    assert made.run().code == 0
    made.write(("A", {**first, "uuid": second["uuid"]}))
    assert made.run().code == 0
    assert [result["task_uuid"] for result in made.results] == [first["uuid"], second["uuid"]]
    assert [path.name for path in Path(made.results[1]["folder"]).iterdir()] == ["other.glb"]


def test_a_name_that_is_begun_again_with_another_task_is_made_again(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_FAILED)), ("B", made.shell.add(NOW_DONE)))
    assert made.run().code == 3
    made.write(("A", made.shell.add(NOW_DONE)), ("B", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    assert [(r["name"], r["status"]) for r in made.results][2:] in ([("A", "DONE"), ("B", "DONE")], [("B", "DONE"), ("A", "DONE")])


def test_a_changed_name_costs_nothing(made: Batch) -> None:
    answer = made.shell.add(NOW_DONE)
    made.write(("A", answer))
    assert made.run().code == 0
    count = len(made.shell.simulator.requests)
    made.write(("Renamed", answer))
    assert made.run().code == 0 and made.statuses == {"A": "DONE"} and len(made.shell.simulator.requests) == count


def test_a_task_that_is_no_longer_in_the_file_is_no_longer_asked_about(made: Batch) -> None:
    gone = made.shell.add("stuck")
    made.write(("A", gone), ("B", made.shell.add(NOW_DONE)))
    ran = made.run("--timeout", "3")
    assert ran.code == 4 and ran.events[-1]["text"] == "1 of 2 tasks have no result yet; run it again to go on."
    made.write(("B", made.shell.add(NOW_DONE)))
    count = len([a for a in made.shell.simulator.requests if a.subscription_key == key_of(gone)])
    assert made.run().code == 0
    assert len([a for a in made.shell.simulator.requests if a.subscription_key == key_of(gone)]) == count


def test_a_refused_key_ends_with_2_and_the_right_one_goes_on(made: Batch) -> None:
    made.write(*((f"M{n}", made.shell.add(NOW_DONE)) for n in range(8)))
    ran = made.run(RODIN_API_KEY="wrong")
    assert ran.code == 2 and "HTTP 401" in ran.event["text"] and made.results == []
    assert len(made.shell.simulator.requests) <= 8, "what was under way, and the balance for each"
    assert made.run().code == 0 and len(made.statuses) == 8


@pytest.mark.parametrize("path", ["status", "download"])
@pytest.mark.parametrize("fault", ["permission-denied", "403-html", "401-bare"])
def test_one_refused_of_21_leaves_the_others_and_is_had_by_the_next_run(made: Batch, path: str, fault: str) -> None:
    names = [f"Model {n}" for n in range(21)]
    made.write(*((name, made.shell.add(NOW_DONE)) for name in names))
    made.shell.simulator.fail(path, fault)
    ran = made.run()
    again = path == "status" and fault != "permission-denied"
    assert ran.code == (0 if again else 1) and len(made.statuses) == (21 if again else 20)
    assert made.run().code == 0 and sorted(made.statuses) == sorted(names)
    assert "does not accept the API key" not in ran.out + ran.err
    made.check_folders()


def test_timeout_ends_with_4_and_run_again_it_goes_on(made: Batch) -> None:
    running = made.shell.add([RUNNING])
    made.write(("A", made.shell.add(NOW_DONE)), ("B", running))
    ran = made.run("--timeout", "6")
    assert ran.code == 4 and made.statuses == {"A": "DONE"}
    made.shell.simulator.end(running)
    assert made.run().code == 0 and made.statuses == {"A": "DONE", "B": "DONE"}
    assert made.files_asked() == 4


def test_ctrl_c_ends_with_130_and_run_again_it_goes_on(made: Batch) -> None:
    shell = made.shell
    running = shell.add([RUNNING])
    made.write(("A", shell.add(NOW_DONE)), ("B", running))
    ran = shell.interrupted(*made.words, "--json", when=lambda: made.results)
    shell.simulator.end(running)
    # The result may be in the file and not yet told.
    assert ran.code == 130 and [event["event"] for event in ran.events][-1] == "error"
    assert made.run().code == 0 and made.statuses == {"A": "DONE", "B": "DONE"} and made.files_asked() == 4
    made.check_folders()


def test_a_line_that_was_torn_by_a_kill_is_written_anew(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)), ("B", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    path = made.out / "results.jsonl"
    whole = path.read_bytes()
    last = whole.splitlines()[-1]
    for cut in (1, 2, len(last) // 2, len(last)):
        path.write_bytes(whole[:-cut])
        assert made.run().code == 0
        assert path.read_bytes() == whole and made.files_asked() == 4
    # Lines of others, or of another day, are left where they are.
    path.write_bytes(b'garbage \xff\n{"task_uuid": 5}\n[]\n' + whole)
    assert made.run().code == 0 and path.read_bytes().endswith(whole)


def test_a_second_run_on_the_same_folder_is_refused(made: Batch) -> None:
    running = made.shell.add([RUNNING])
    made.write(("A", running))
    first = made.shell.start(*made.words)
    wait_until(lambda: made.shell.simulator.requests)
    second = made.run()
    assert second.code == 1 and second.event["text"] == f"Another batch is at work in {made.out}; wait for its end."
    made.shell.simulator.end(running)
    assert made.shell.end(first).code == 0 and list(made.statuses) == ["A"]


def test_results_that_cannot_be_written_end_with_1(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    (made.out / "results.jsonl").mkdir(parents=True)
    ran = made.run()
    assert ran.code == 1 and ran.event["text"] == f"{made.out / 'results.jsonl'}: Is a directory."
    (made.out / "results.jsonl").rmdir()
    assert made.run().code == 0


def test_a_file_in_the_place_of_the_folder_is_refused(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    made.out.write_text("a file")
    ran = made.run()
    assert ran.code == 2 and ran.event["text"] == f"{made.out} is to be a folder, and there is a file of that name."


def test_a_lost_list_loses_no_result(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)), ("B", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    (made.out / "tasks.sqlite").write_bytes(b"garbage" * 500)
    count = len(made.shell.simulator.requests)
    ran = made.run()
    assert ran.code == 0 and ran.out == "" and "was damaged" in ran.err
    assert len(made.shell.simulator.requests) == count


# Files that are there no more, or not whole.


def test_a_batch_whose_folder_was_deleted_fetches_again_what_is_missing_and_that_only(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)), ("B", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    first, second = made.results
    assert [file["sha256"] for file in first["files"]] == [sha256(content) for content in FILES.values()]
    shutil.rmtree(first["folder"])
    ran = made.run()
    assert ran.code == 0 and ran.event["name"] == first["name"]
    assert made.results[:2] == [first, second] and made.results[2]["files"] == first["files"]
    assert made.files_asked() == 6
    made.check_folders()
    count = len(made.shell.simulator.requests)
    assert made.run().code == 0 and len(made.shell.simulator.requests) == count


@pytest.mark.parametrize("there", [b"", b"<html>Blocked</html>", FILES["base_basic_pbr.glb"][:-1], b'{"error": "x"}'])
def test_a_model_that_is_empty_a_web_page_or_cut_does_not_count_as_done(made: Batch, there: bytes) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    (Path(made.results[0]["folder"]) / "base_basic_pbr.glb").write_bytes(there)
    assert made.run().code == 0 and made.files_asked() == 3
    made.check_folders()


@pytest.mark.parametrize("fault", ["html", "empty", "no-such-task"])
def test_what_comes_in_a_models_place_is_no_result(made: Batch, fault: str) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    made.shell.simulator.fail("files", *[fault] * 4)
    ran = made.run()
    assert ran.code == 1 and "did not arrive: It " in ran.events[-1]["text"] and made.results == []
    assert made.run().code == 0
    made.check_folders()


def test_a_missing_preview_is_a_warning_and_the_model_a_result(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    made.shell.simulator.fail("files", "", "404")
    ran = made.run()
    assert ran.code == 0 and "'preview.webp' did not arrive" in ran.err
    assert [file["name"] for file in ran.event["files"]] == ["base_basic_pbr.glb"] and ran.event["downloaded"]
    assert made.run().code == 0 and made.files_asked() == 2


@pytest.mark.parametrize("needed", [False, True])
def test_what_the_service_has_no_more_is_trouble_for_a_model_and_not_for_its_preview(made: Batch, needed: bool) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    (Path(made.results[0]["folder"]) / ("base_basic_pbr.glb" if needed else "preview.webp")).unlink()
    made.shell.simulator.fail("download", "no-such-task")
    ran = made.run()
    assert ran.code == needed and "knows no task with this uuid" in ran.err


def test_a_batch_that_was_moved_is_not_fetched_again(made: Batch) -> None:
    made.write(("A", made.shell.add(NOW_DONE)))
    assert made.run().code == 0
    made.out = made.out.rename(made.out.with_name("moved"))
    count = len(made.shell.simulator.requests)
    assert made.run().code == 0 and len(made.shell.simulator.requests) == count
    (made.out / Path(made.results[0]["folder"]).name / "preview.webp").unlink()
    assert made.run().code == 0 and made.files_asked() == 3


# Killed.

MODELS = 200
KILLS = 10


@pytest.mark.timeout(150)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_200_models_killed_ten_times_end_with_200_results_each_downloaded_once(made: Batch) -> None:
    shell, chance = made.shell, random.Random(11)
    names = [f"Model {number:03d}" for number in range(MODELS)]
    rows = []
    for name in names:
        rows.append((name, shell.add([[(0.0, "Waiting"), (chance.uniform(0.0, 120.0), "Done")]], files=FILES)))
    made.write(*rows)
    uuids = {answer["uuid"]: name for name, answer in rows}

    def files_asked() -> Counter[str]:
        """How often each file was asked for from its first byte on, by task."""
        return Counter(
            (uuids[asked.file.split("/")[0]], asked.file) for asked in shell.simulator.asked("files") if not asked.range
        )

    interrupted = 0
    for kill in range(KILLS):
        process = shell.start(*made.words, fast=True)
        # Anywhere: while it starts, while it writes its list, while it asks, downloads and writes results.
        goal = len(made.results_so_far()) + chance.randrange(0, MODELS // KILLS)
        if kill % 3:
            wait_until(lambda process=process, goal=goal: len(made.results_so_far()) >= goal or process.poll() is not None, 60.0)
        time.sleep(chance.uniform(0.0, 0.4) if kill % 3 else chance.uniform(0.3, 1.2))
        assert process.poll() is None, "it must not be over before its last kill"
        process.kill()
        out, err = process.communicate(timeout=20)
        shell.printed += [out.decode(), err.decode()]
        done, before = {result["name"] for result in made.results_so_far()}, files_asked()
        interrupted += 1
        made.saved = {name: {f: n for (of, f), n in before.items() if of == name} for name in done}
    ran = shell.run(*made.words, fast=True)
    assert ran.code == 0, ran.err
    assert sorted(result["name"] for result in made.results) == names
    assert made.statuses == dict.fromkeys(names, "DONE")
    made.check_folders()
    asked = files_asked()
    assert {name for name, _ in asked} == set(names)
    for name, before in made.saved.items():
        assert {f: n for (of, f), n in asked.items() if of == name} == before, "with a result, nothing more is fetched"
    # A kill can hit what is just on its way: of two models at a time.
    assert sum(asked.values()) - MODELS * len(FILES) <= 2 * interrupted
    with closing(sqlite3.connect(made.out / "tasks.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*), count(DISTINCT folder) FROM task WHERE download = 'SAVED'").fetchone() == (MODELS, MODELS)
