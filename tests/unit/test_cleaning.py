# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloaded files looked at and deleted without a window, and what generations have cost."""

from __future__ import annotations

import json
import os
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rodin_blender.service.keys import Secret
from rodin_blender.storage import locks
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Download, Status, Task
from tests.unit.shell import FILES, Shell, shell

__all__ = ["shell"]

DAY = 86400.0


def saved(shell: Shell, tmp_path: Path, name: str = "Vase", days: float = 0.0) -> tuple[str, Path]:
    """A task whose files were downloaded so many days ago; its id and folder."""
    answer = shell.add([[(0.0, "Done")]])
    event = shell.json("track", shell.keys(answer), "--name", name).event
    shell.json("download", event["task_id"])
    folder = shell.folder / "downloads" / f"{name} {event['task_id']}"
    aged(folder, days)
    return event["task_id"], folder


def aged(folder: Path, days: float) -> None:
    for path in folder.iterdir():
        os.utime(path, (time.time() - days * DAY,) * 2)


def listed(shell: Shell, task_id: str) -> dict[str, Any]:
    return next(event for event in shell.json("list").events if event["task_id"] == task_id)


def test_old_files_are_deleted_and_their_tasks_stay(shell: Shell, tmp_path: Path) -> None:
    old, old_folder = saved(shell, tmp_path, "Vase", days=31)
    young, young_folder = saved(shell, tmp_path, "Pot", days=29)
    (old_folder / "mine.blend").write_bytes(b"the user's own")
    aged(old_folder, 31)
    dry = shell.json("files", "--older-than", "30d", "--delete", "--dry-run")
    assert (dry.code, dry.event["task_id"], sorted(dry.event["deleted"])) == (0, old, sorted(FILES))
    assert "would be deleted" in dry.err
    assert {path.name for path in old_folder.iterdir()} == {*FILES, "mine.blend"}, "nothing was touched"
    ran = shell.json("files", "--older-than", "30d", "--delete")
    assert (ran.code, sorted(ran.event["deleted"]), ran.event["freed"]) == (0, sorted(FILES), sum(map(len, FILES.values())))
    assert [path.name for path in old_folder.iterdir()] == ["mine.blend"], "what nobody downloaded stays"
    assert {path.name for path in young_folder.iterdir()} == set(FILES)
    left = listed(shell, old)
    assert (left["downloaded"], left["files"], left["folder"], left["status"]) == (False, [], "", "DONE")
    assert listed(shell, young)["downloaded"]
    assert shell.json("files", "--older-than", "30d", "--delete").events == [], "a second run finds nothing"


def test_what_was_changed_since_the_download_is_left_and_told(shell: Shell, tmp_path: Path) -> None:
    task_id, folder = saved(shell, tmp_path, days=50)
    painted = FILES["preview.webp"] + b"painted"
    (folder / "preview.webp").write_bytes(painted)
    aged(folder, 50)
    ran = shell.json("files", "--older-than", "30d", "--delete")
    assert ran.event["deleted"] == ["base_basic_pbr.glb"] and "preview.webp" in ran.event["wrong"]
    assert (folder / "preview.webp").read_bytes() == painted
    left = listed(shell, task_id)
    assert [file["name"] for file in left["files"]] == ["preview.webp"] and left["folder"] == str(folder)


def test_a_batchs_files_are_looked_at_and_deleted_in_its_own_list(shell: Shell, tmp_path: Path) -> None:
    mine, my_folder = saved(shell, tmp_path)
    rows = [shell.add([[(0.0, "Done")]], prompt=name) for name in ("Vase", "Pot")]
    table = shell.file("show.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    assert shell.run("batch", table, "--to", out).code == 0
    ran = shell.json("files", "--batch", out, "--verify")
    assert ran.code == 0 and {Path(event["folder"]).parent for event in ran.events} == {out}
    assert sorted(event["name"] for event in ran.events) == ["Pot", "Vase"]
    (vase,) = out.glob("Vase *")
    (vase / "preview.webp").write_bytes(b"")
    assert shell.json("files", "--batch", out, "--verify").code == 1
    ran = shell.json("files", "Pot", "--batch", out, "--delete")
    assert ran.code == 0 and sorted(ran.event["deleted"]) == sorted(FILES)
    assert listed(shell, mine)["downloaded"] and len(list(my_folder.iterdir())) == len(FILES)
    for command in (["files"], ["spending"], ["settle", "Vase", "--discard"]):
        ran = shell.run(*command, "--batch", tmp_path / "none")
        assert ran.code == 2 and "no batch" in ran.err and not (tmp_path / "none").exists()


def test_one_that_is_being_downloaded_is_left(shell: Shell, tmp_path: Path) -> None:
    task_id, folder = saved(shell, tmp_path, days=50)
    with locks.acquire(folder / ".lock"):
        ran = shell.json("files", task_id, "--delete")
    assert ran.code == 1 and ran.events[0]["trouble"] == "Another Blender is downloading this task."
    assert {path.name for path in folder.iterdir()} == set(FILES)
    with closing(Store(shell.folder / "tasks.sqlite")) as store:
        store.change(task_id, lambda task: replace(task, download=Download.WANTED))
    assert "cancel that first" in shell.json("files", task_id, "--delete").events[0]["trouble"]


def test_what_is_asked_for_must_be_meant(shell: Shell) -> None:
    for words, said in (
        (["--delete"], "name tasks, or give --older-than"),
        (["--dry-run"], "belongs to --delete"),
        (["--older-than", "30"], "12h, 30d, 8w"),
    ):
        ran = shell.run("files", *words)
        assert ran.code == 2 and said in ran.err


def test_verify_reads_all_and_finds_what_a_look_does_not(shell: Shell, tmp_path: Path) -> None:
    task_id, folder = saved(shell, tmp_path)
    assert shell.json("files", "--verify").event["wrong"] == {}
    good = (folder / "base_basic_pbr.glb").read_bytes()
    (folder / "base_basic_pbr.glb").write_bytes(good[:-1] + b"!")
    assert shell.json("files").code == 0
    ran = shell.json("files", "--verify")
    assert ran.code == 1 and "fetches them anew" in ran.events[-1]["text"]
    assert ran.events[0]["wrong"] == {"base_basic_pbr.glb": "It has as many bytes as were saved, but not the same."}
    (folder / "preview.webp").unlink()
    ran = shell.json("files", task_id, "--verify")
    assert ran.events[0]["wrong"]["preview.webp"] == "It is not there."
    assert shell.run("download", task_id, "--again").code == 0
    assert shell.json("files", "--verify").code == 0


def test_a_file_of_the_same_size_and_another_checksum_is_fetched_again_and_kept_aside(
    shell: Shell, tmp_path: Path
) -> None:
    task_id, folder = saved(shell, tmp_path)
    good = (folder / "base_basic_pbr.glb").read_bytes()
    (folder / "base_basic_pbr.glb").write_bytes(good[:-1] + b"!")
    (folder / "preview.webp").unlink()
    assert shell.run("download", task_id).code == 0
    assert (folder / "base_basic_pbr.glb").read_bytes() == good
    assert (folder / "base_basic_pbr-before.glb").read_bytes() == good[:-1] + b"!"


def test_words_for_people(shell: Shell, tmp_path: Path) -> None:
    task_id, folder = saved(shell, tmp_path, days=3)
    ran = shell.run("files")
    assert ran.out.startswith(f"{task_id}  Vase  2 files  0 kB  3 days old  in {folder}")
    assert "1 tasks have 0 kB of files." in ran.err


# What was spent.


def spent_list(shell: Shell) -> None:
    def at(day: int) -> float:
        return datetime(2026, 11, day, 12).timestamp()

    rows = (
        (1, "Gen-2", Status.DONE, 0.5, 0.5),
        (1, "Gen-2", Status.DONE, 0.5, None),
        (1, "Gen-2", Status.FAILED, 0.5, 0.5),
        (2, "Gen-2.5-Extreme-High", Status.UNCERTAIN, 1.0, None),
        (2, "Gen-2", Status.REJECTED, 0.5, None),
        (3, "Gen-2", Status.GENERATING, 0.5, 0.5),
    )
    with closing(Store(shell.folder / "tasks.sqlite")) as store:
        for number, (day, tier, status, price, charged) in enumerate(rows):
            key = Secret(f"k{number}") if status.submitted else Secret("")
            store.add(
                Task(
                    f"t{number}", "Vase", key, status=status, tracked_at=at(day), kind="generate", price=price,
                    credits=charged, options={"tier": tier},
                )
            )
        store.add(Task("tracked", "Pot", Secret("other"), status=Status.DONE, tracked_at=at(1)))


def test_what_was_spent_by_day_tier_and_outcome(shell: Shell) -> None:
    spent_list(shell)
    *found, whole = shell.json("spending").events
    rows = [(e["day"], e["tier"], e["outcome"], e["tasks"], e["credits"], e["expected"], e["uncertain"]) for e in found]
    assert rows == [
        ("2026-11-01", "Gen-2", "DONE", 2, 1.0, 0.5, 0.0),
        ("2026-11-01", "Gen-2", "FAILED", 1, 0.5, 0.0, 0.0),
        ("2026-11-02", "Gen-2", "REJECTED", 1, 0.0, 0.0, 0.0),
        ("2026-11-02", "Gen-2.5-Extreme-High", "UNCERTAIN", 1, 1.0, 1.0, 1.0),
        ("2026-11-03", "Gen-2", "GENERATING", 1, 0.5, 0.0, 0.0),
    ]
    assert (whole["tasks"], whole["credits"], whole["expected"], whole["uncertain"]) == (6, 3.0, 1.5, 1.0)
    *found, whole = shell.json("spending", "--since", "2026-11-02").events
    assert len(found) == 3 and whole["credits"] == 1.5
    told = shell.run("spending", "--since", "2026-11-03").out
    assert told == "2026-11-03  Gen-2  generating  1 tasks  0.5 credits\nall  1 tasks  0.5 credits\n"
    assert shell.run("spending", "--since", "yesterday").code == 2


def test_what_a_batch_has_spent(shell: Shell, tmp_path: Path) -> None:
    table = shell.file("show.csv", "name,prompt\nVase,A vase\nPot,A pot\n")
    out = tmp_path / "out"
    assert shell.run("batch", table, "--to", out).code == 0
    assert shell.json("spending", "--batch", out).events[-1]["credits"] == 1.0
    assert shell.json("spending").events[-1]["tasks"] == 0
