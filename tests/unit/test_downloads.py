# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads through the tracker: told, remembered, cancelled, gone on with after any end, and deleted again."""

from __future__ import annotations

import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rodin_blender.service.files import Progress, SavedFile
from rodin_blender.service.keys import Secret
from rodin_blender.storage import store
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Download, Status, Task
from rodin_blender.texts.text import Text
from rodin_blender.tracking import fetching
from rodin_blender.tracking.downloads import DOWNLOADERS
from rodin_blender.tracking.messages import (
    Blocker,
    BlockerChanged,
    DownloadEnded,
    DownloadProgress,
    FilesDeleted,
    Forgotten,
    Idle,
    Message,
    ModelChecked,
    Notice,
    Restored,
    Settings,
    TaskChanged,
    TaskRemoved,
)
from rodin_blender.tracking.workers import Pool
from tests.unit import disks, watching
from tests.unit.disks import fill
from tests.unit.test_fetching import everything_in, ranges, sha256, visible_in, webp
from tests.unit.watching import AT_ONCE, PACE, Begin, Watched, in_words, wait_until
from tools.simulator import API_KEY, Simulator
from tools.testing.disks import glb

small_disk, read_only = disks.small_disk, disks.read_only
path, begin = watching.path, watching.begin

ROOT = Path(__file__).parents[2]
OFFLINE = Blocker("offline", "Blender is not allowed to go online.")
MODEL = glb(300_000)
PNG = b"\x89PNG\r\n\x1a\n"
WEBP = webp(40)
FILES = {"base_pbr.glb": MODEL, "texture.png": PNG, "preview.webp": WEBP}
CANCELLED = "The download was cancelled; what has arrived is kept. Download it again."


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "RETRY_DELAYS", (0.05, 0.05, 0.05))
    monkeypatch.setattr(fetching, "REPORT_EVERY", 0.05)
    monkeypatch.setattr(fetching, "POLL_INTERVAL", 0.05)


def done(watched: Watched, simulator: Simulator, files: Any = None, **given: Any) -> Task:
    """A finished task."""
    answer = simulator.add(AT_ONCE, files=FILES if files is None else files, **given)
    return watched.gets(watched.follow(answer), Status.DONE)


def saved(watched: Watched, simulator: Simulator, parent: Path, files: Any = None) -> Task:
    """A finished task whose files are there."""
    task = done(watched, simulator, files)
    watched.tracker.download(task.task_id, parent)
    assert watched.next(DownloadEnded).folder
    return latest(watched, task)


def latest(watched: Watched, task: Task) -> Task:
    return [m.task for m in watched.of(TaskChanged) if m.task.task_id == task.task_id][-1]


def stored(path: Path, task: Task) -> Task:
    with closing(Store(path)) as opened:
        return next(t for t in opened.tasks() if t.task_id == task.task_id)


def received(watched: Watched, task: Task, least: int) -> Progress:
    return watched.next(
        DownloadProgress, lambda m: m.task_id == task.task_id and m.progress.received >= least
    ).progress


def part_of(folder: Path) -> bytes:
    (part,) = folder.glob(".*.part")
    return part.read_bytes()


def told_after(watched: Watched, task: Task) -> list[str]:
    """What was told of a task since the first word of its download, without repetitions."""
    words: list[str] = []
    for message in watched.of(Message):
        kind = ""
        if isinstance(message, DownloadProgress) and message.task_id == task.task_id:
            kind = str(message.progress.waiting or "receiving")
        elif isinstance(message, DownloadEnded) and message.task_id == task.task_id:
            kind = "ended"
        if kind and words[-1:] != [kind]:
            words.append(kind)
    return words


# All well.


def test_a_download_is_saved_told_and_remembered(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    watched = begin()
    task = done(watched, simulator, prompt="chair")
    simulator.fail("download", "500")
    watched.tracker.download(task.task_id, tmp_path / "saved")
    failed = watched.next(DownloadEnded)
    assert failed.folder == "" and not (tmp_path / "saved").exists()
    assert str(failed.said) == (
        "The list of its files did not come. The service is in trouble (HTTP 500). Download it again."
    )
    assert latest(watched, task).download is Download.NONE
    watched.tracker.download(task.task_id, tmp_path / "saved")
    ended = watched.next(DownloadEnded)
    folder = Path(ended.folder)
    assert folder.parent == tmp_path / "saved" and folder.name == f"chair {task.task_id}"
    assert everything_in(folder) == FILES
    assert str(ended.said) == "3 files are saved (300 kB)."
    after = latest(watched, task)
    files = tuple(SavedFile(name, len(content), sha256(content)) for name, content in FILES.items())
    assert (after.folder, after.files, after.download) == (ended.folder, files, Download.SAVED)
    assert after.size == 300_048
    assert stored(path, task) == after
    assert told_after(watched, task)[-3:] == ["Waiting to download", "receiving", "ended"]
    wanted = [m.task.download for m in watched.of(TaskChanged)]
    assert wanted[-4:] == [Download.WANTED, Download.NONE, Download.WANTED, Download.SAVED]


def test_the_files_of_an_unfinished_task_are_not_taken_for_all(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = watched.gets(watched.follow(simulator.add("stuck", files=FILES)), Status.GENERATING)
    watched.tracker.download(task.task_id, tmp_path)
    ended = watched.next(DownloadEnded)
    assert ended.folder and str(ended.said).endswith("more files may come. Download it again when it is finished.")
    assert latest(watched, task).download is Download.NONE and len(latest(watched, task).files) == 3


def test_a_partly_failed_task_is_told_as_such(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    story = [[(0.0, "Done")], [(0.0, "Failed")]]
    task = watched.gets(watched.follow(simulator.add(story, files={"a.bin": b"a"})), Status.PARTLY_FAILED)
    watched.tracker.download(task.task_id, tmp_path)
    ended = watched.next(DownloadEnded)
    assert str(ended.said) == "1 file is saved (0 kB). Some of its jobs failed, so files may be missing."


def test_two_tasks_of_one_long_name_are_saved_into_two_folders(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    contents = set()
    for content in (glb(100), glb(200)):
        task = watched.follow(simulator.add(AT_ONCE, files={"m.glb": content}, prompt="一只可爱的卡通小猫坐在木头椅子" * 4))
        watched.tracker.download(task.task_id, tmp_path / "saved")
        contents.add((Path(watched.next(DownloadEnded).folder) / "m.glb").read_bytes())
    assert contents == {glb(100), glb(200)}


def test_a_second_download_of_a_task_under_way_is_ignored(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    task = watched.follow(simulator.add(AT_ONCE, files={"m.glb": glb(1_000_000)}))
    for _ in range(2):
        watched.tracker.download(task.task_id, tmp_path / "saved")
    assert watched.next(DownloadEnded).folder
    watched.tracker.download(task.task_id, tmp_path / "saved")
    assert watched.next(DownloadEnded).folder
    watched.next(Idle)
    assert len(watched.of(DownloadEnded)) == 2
    assert len(simulator.asked("files")) == 1


def test_a_task_renamed_and_moved_stays_in_its_folder_and_a_deleted_folder_is_left(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path / "a")
    folder = Path(task.folder)
    watched.tracker.change(task.task_id, lambda t: replace(t, name="renamed"))
    watched.tracker.download(task.task_id, tmp_path / "b")
    assert watched.next(DownloadEnded).folder == task.folder
    assert len(simulator.asked("files")) == 3
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    simulator.fail("files", "404")
    watched.tracker.download(task.task_id, tmp_path / "b")
    assert "2 of 3 files are there" in str(watched.next(DownloadEnded).said)
    after = latest(watched, task)
    assert Path(after.folder) == tmp_path / "b" / f"renamed {task.task_id}"
    assert [file.name for file in after.files] == ["texture.png", "preview.webp"], "not those of the folder that is gone"


def test_a_missing_sidecar_is_told_and_the_model_is_saved_all_the_same(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = done(watched, simulator)
    simulator.fail("files", "", "404", "")
    watched.tracker.download(task.task_id, tmp_path)
    ended = watched.next(DownloadEnded)
    warning = "'texture.png' did not arrive: The file server does not hand out 'texture.png' (HTTP 404)."
    assert ended.folder and str(ended.missing) == warning and str(ended.said) == f"2 files are saved (300 kB). {warning}"
    after = latest(watched, task)
    assert after.download is Download.SAVED
    assert [file.name for file in after.files] == ["base_pbr.glb", "preview.webp"]


def test_what_is_no_longer_there_is_not_told_as_saved_after_a_download_that_failed(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path)
    (Path(task.folder) / "texture.png").unlink()
    simulator.fail("download", "no-such-task")
    watched.tracker.download(task.task_id, tmp_path)
    assert not watched.next(DownloadEnded).folder
    assert [file.name for file in latest(watched, task).files] == ["base_pbr.glb", "preview.webp"]


def test_again_fetches_what_is_there_too(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path)
    (Path(task.folder) / "base_pbr.glb").write_bytes(glb(20))
    watched.tracker.download(task.task_id, tmp_path)
    watched.next(DownloadEnded)
    assert len(simulator.asked("files")) == 3
    watched.tracker.download(task.task_id, tmp_path, again=True)
    watched.next(DownloadEnded)
    assert everything_in(Path(task.folder)) == FILES and len(simulator.asked("files")) == 6


def test_the_folder_of_a_long_name_leaves_room_for_the_260_of_windows(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    files = {f"{'textures' * 9}/{'deep' * 30}/{'n' * 300}.png": PNG, "m.glb": MODEL}
    task = watched.follow(simulator.add(AT_ONCE, files=files, prompt="A cat on a chair 😀 " * 40))
    watched.tracker.download(task.task_id, tmp_path)
    assert watched.next(DownloadEnded).folder
    paths = everything_in(tmp_path)
    assert max(len(path.encode("utf-16-le")) // 2 for path in paths if "tasks.sqlite" not in path) < 120


# Trouble.


def test_every_download_is_told_to_have_ended_though_its_task_is_gone_or_the_list_is_locked(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    watched = begin()
    watched.tracker.download("no such", tmp_path)
    assert in_words(watched.next(DownloadEnded)) == DownloadEnded("no such", "", "The task is no longer in the list.")
    task = done(watched, simulator)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        watched.tracker.download(task.task_id, tmp_path / "saved")
        ended = watched.next(DownloadEnded)
        assert ended.folder == "" and str(ended.said).startswith("Nothing was downloaded. The list of tasks ")
        assert "locked" in str(ended.said)
        other.execute("ROLLBACK")
    assert simulator.asked("download") == []
    watched.tracker.download(task.task_id, tmp_path / "saved")
    assert everything_in(Path(watched.next(DownloadEnded).folder)) == FILES


def test_what_a_download_came_to_is_noted_as_soon_as_the_list_can_be_written(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    watched = begin()
    task = done(watched, simulator)
    simulator.rate = 600_000
    watched.tracker.download(task.task_id, tmp_path)
    received(watched, task, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = watched.next(DownloadEnded)
        assert everything_in(Path(ended.folder)) == FILES and "3 files" in str(ended.said)
        watched.next(BlockerChanged)
        other.execute("ROLLBACK")
    after = watched.becomes(task, lambda t: t.download is Download.SAVED)
    assert len(after.files) == 3
    assert stored(path, task) == after
    assert len(simulator.asked("download")) == 1 and len(simulator.asked("files")) == 3


def test_a_uuid_that_the_service_does_not_know_is_told_and_cleared(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = watched.follow(simulator.add("stuck"))
    simulator.fail("download", "no-such-task")
    watched.tracker.download(task.task_id, tmp_path)
    text = str(watched.next(DownloadEnded).said)
    assert "knows no task with this uuid" in text and "7 days" in text
    wait_until(lambda: latest(watched, task).task_uuid == "")
    assert latest(watched, task).download is Download.NONE


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (
            "user-not-found",
            "The service does not accept the API key (USER_NOT_FOUND). Enter another API key. Download it again.",
        ),
        (
            "permission-denied",
            "The service accepts the API key, but does not let it see this task (PERMISSION_DENIED): it may be another "
            "account's. Download it again.",
        ),
        (
            "401",
            "The list of its files did not come. The service refused this request (HTTP 401), though it accepts the "
            "API key. Download it again.",
        ),
        (
            "403-html",
            "The list of its files did not come. A firewall or proxy, and not the service, refused the request "
            "(HTTP 403). If this stays, tell whoever looks after the network. Download it again.",
        ),
        (
            "api-error",
            "The list of its files did not come. The service answered INVALID_REQUEST: The request is wrong. "
            "Download it again.",
        ),
        (
            "429",
            "The list of its files did not come. The service asks us to slow down (HTTP 429). "
            "Download it again.",
        ),
        (
            "reset",
            "The list of its files did not come. The connection broke off before the whole answer had arrived. "
            "Download it again.",
        ),
        ("jobs-missing", "The service lists no files for this task yet; it may take a minute. Download it again."),
    ],
)
def test_without_a_list_the_user_reads_why_and_what_to_do(
    begin: Begin, simulator: Simulator, tmp_path: Path, fault: str, text: str
) -> None:
    watched = begin()
    task = done(watched, simulator)
    simulator.fail("download", fault)
    watched.tracker.download(task.task_id, tmp_path / "saved")
    assert in_words(watched.next(DownloadEnded)) == DownloadEnded(task.task_id, "", text)
    assert not (tmp_path / "saved").exists()
    watched.tracker.download(task.task_id, tmp_path / "saved")
    assert watched.next(DownloadEnded).folder


def test_a_full_disk_is_told_and_the_next_press_goes_on(
    begin: Begin, simulator: Simulator, small_disk: Path, path: Path
) -> None:
    watched = begin()
    task = done(watched, simulator)
    filler = fill(small_disk)
    os.truncate(filler, filler.stat().st_size - 200_000)
    watched.tracker.download(task.task_id, small_disk)
    text = str(watched.next(DownloadEnded).said)
    assert "'base_pbr.glb' in the folder" in text and "No space left" in text and "Free some space." in text
    assert latest(watched, task).download is Download.NONE
    there = len(part_of(Path(latest(watched, task).folder)))
    filler.unlink()
    watched.tracker.download(task.task_id, small_disk)
    assert everything_in(Path(watched.next(DownloadEnded).folder)) == FILES
    assert there > 100_000 and ranges(simulator)[1] == f"bytes={there}-"


def test_a_known_folder_that_cannot_be_looked_at_is_no_error_of_ours(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = done(watched, simulator)
    watched.tracker.change(task.task_id, lambda t: replace(t, folder="/" + "n" * 300))
    watched.tracker.download(task.task_id, tmp_path)
    assert Path(watched.next(DownloadEnded).folder).parent == tmp_path


# Cancelling, and the queue.


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_a_cancelled_download_goes_on_by_the_next_press(
    begin: Begin, simulator: Simulator, tmp_path: Path, share: float
) -> None:
    watched = begin()
    content = glb(1_000_000)
    task = done(watched, simulator, {"m.glb": content})
    folder = tmp_path / f"{task.name} {task.task_id}"
    simulator.rate = 150_000
    if share > 0.5:
        # All but the last bytes, and then silence.
        simulator.fail("files", "silent-at-the-end")
    watched.tracker.download(task.task_id, tmp_path)
    least = 950_000 if share > 0.5 else 1
    wait_until(lambda: any(part.stat().st_size >= least for part in folder.glob(".*.part")))
    begun = time.monotonic()
    watched.tracker.cancel_download(task.task_id)
    assert in_words(watched.next(DownloadEnded)) == DownloadEnded(task.task_id, "", CANCELLED, True)
    assert time.monotonic() - begun < 1.0
    assert visible_in(folder) == {} and latest(watched, task).download is Download.NONE
    there = len(part_of(folder))
    assert there > 950_000 if share > 0.5 else 0 < there < 500_000
    watched.tracker.cancel_download(task.task_id)
    simulator.rate = None
    watched.tracker.download(task.task_id, tmp_path)
    assert watched.next(DownloadEnded).folder == str(folder)
    assert everything_in(folder) == {"m.glb": content}
    assert ranges(simulator) == ["", f"bytes={there}-"]
    assert len(watched.of(DownloadEnded)) == 2


def test_two_downloads_run_at_a_time_and_one_that_waits_can_be_cancelled(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    tasks = [done(watched, simulator, {f"{number}.glb": MODEL}) for number in range(DOWNLOADERS + 2)]
    simulator.rate = 400_000
    for task in tasks:
        watched.tracker.download(task.task_id, tmp_path)
    received(watched, tasks[1], 1)
    waiting, last = tasks[DOWNLOADERS:]
    assert len(simulator.asked("files")) == DOWNLOADERS
    watched.tracker.cancel_download(waiting.task_id)
    assert in_words(watched.next(DownloadEnded)) == DownloadEnded(waiting.task_id, "", CANCELLED, True)
    assert not (tmp_path / f"{waiting.name} {waiting.task_id}").exists()
    assert len(simulator.asked("files")) == DOWNLOADERS
    for _ in range(3):
        assert watched.next(DownloadEnded).folder
    assert told_after(watched, waiting) == ["Waiting to download", "ended"]
    assert told_after(watched, last) == ["Waiting to download", "receiving", "ended"]
    assert len(simulator.asked("files")) == 3
    watched.tracker.download(waiting.task_id, tmp_path)
    assert watched.next(DownloadEnded).folder


# The end of a session, and the next one.


def test_a_download_cut_by_stop_goes_on_by_itself_in_the_next_session_once(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    first = begin()
    task = done(first, simulator, {"a.bin": b"a", "m.glb": MODEL})
    simulator.rate = 150_000
    first.tracker.download(task.task_id, tmp_path)
    received(first, task, 1)
    received(first, task, 20_000)
    first.tracker.stop()
    assert first.tracker.join(3.0)
    left = stored(path, task)
    assert (left.download, left.files) == (Download.WANTED, (SavedFile("a.bin", 1, sha256(b"a")),))
    folder = Path(left.folder)
    assert visible_in(folder) == {"a.bin": b"a"}
    there = len(part_of(folder))
    simulator.rate = None
    before = len(simulator.requests)

    second = begin(blocker=OFFLINE)
    told = second.next(DownloadProgress)
    assert told == DownloadProgress(task.task_id, Progress(waiting=Text("Goes on as soon as the service can be asked")))
    time.sleep(0.5)
    assert len(simulator.requests) == before and not second.of(Idle)
    second.tracker.configure(Settings(simulator.url, Secret(API_KEY), 2.0, PACE))
    assert second.next(DownloadEnded).folder == str(folder)
    assert everything_in(folder) == {"a.bin": b"a", "m.glb": MODEL}
    assert ranges(simulator) == ["", "", f"bytes={there}-"]
    assert stored(path, task).download is Download.SAVED
    second.next(Idle)
    second.tracker.stop()
    assert second.tracker.join(3.0)
    third = begin()
    third.next(Idle)
    assert len(simulator.asked("download")) == 2 and not third.of(DownloadProgress)


def test_a_download_cut_before_its_first_file_goes_on_where_it_was_wanted(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in the folder that the program happens to be in."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    first = begin()
    task = done(first, simulator, {"m.glb": MODEL})
    simulator.fail("download", "hang")
    first.tracker.download(task.task_id, tmp_path / "out")
    first.next(DownloadProgress)
    wait_until(lambda: simulator.asked("download"))
    first.tracker.stop()
    assert first.tracker.join(3.0)
    assert Path(stored(path, task).folder).parent == tmp_path / "out"
    second = begin()
    assert Path(second.next(DownloadEnded).folder).parent == tmp_path / "out"
    assert not any(elsewhere.iterdir())


def test_a_cancelled_download_does_not_go_on_in_the_next_session(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    first = begin()
    task = done(first, simulator)
    simulator.rate = 150_000
    first.tracker.download(task.task_id, tmp_path)
    received(first, task, 1)
    # Both at once: the worker's answer comes after the stop.
    first.tracker.cancel_download(task.task_id)
    first.tracker.stop()
    assert first.tracker.join(3.0)
    assert stored(path, task).download is Download.NONE


def test_what_was_to_go_on_can_be_cancelled_and_not_deleted_before(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    first = begin()
    task = saved(first, simulator, tmp_path)
    first.tracker.change(task.task_id, lambda t: replace(t, download=Download.WANTED))
    first.becomes(task, lambda t: t.download is Download.WANTED)
    first.tracker.stop()
    assert first.tracker.join(3.0)
    second = begin(blocker=OFFLINE)
    second.next(DownloadProgress)
    second.tracker.delete_files(task.task_id)
    assert in_words(second.next(FilesDeleted)) == FilesDeleted(
        task.task_id, "It is being downloaded: cancel that first.", failed=True
    )
    second.tracker.cancel_download(task.task_id)
    assert in_words(second.next(DownloadEnded)) == DownloadEnded(task.task_id, "", CANCELLED, True)
    assert stored(path, task).download is Download.NONE and len(stored(path, task).files) == 3
    second.next(Idle)
    count = len(simulator.requests)
    second.tracker.configure(Settings(simulator.url, Secret(API_KEY), 2.0, PACE))
    time.sleep(0.5)
    assert len(simulator.requests) == count


SESSION = f"""
import sys, time
from pathlib import Path
from rodin_blender.service.keys import Secret
from rodin_blender.tracking.messages import DownloadProgress, Settings
from rodin_blender.tracking.tracker import Tracker
tracker = Tracker(Path(sys.argv[1]), Settings(sys.argv[2], Secret({API_KEY!r})))
tracker.download(sys.argv[3], Path(sys.argv[4]))
while True:
    message = tracker.messages.get()
    if isinstance(message, DownloadProgress) and message.progress.received > 30_000:
        print("receiving", flush=True)
"""


def another_blender(path: Path, simulator: Simulator, task: Task, parent: Path) -> subprocess.Popen[str]:
    """One that downloads the task, and has received some of it."""
    command = [sys.executable, "-c", SESSION, str(path), simulator.url, task.task_id, str(parent)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "receiving\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_after_a_kill_in_the_middle_the_next_session_goes_on(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    before = begin()
    task = done(before, simulator, {"m.glb": MODEL})
    before.tracker.stop()
    assert before.tracker.join(3.0)
    simulator.rate = 150_000
    process = another_blender(path, simulator, task, tmp_path)
    folder = tmp_path / f"{task.name} {task.task_id}"
    assert visible_in(folder) == {}
    kill(process)
    assert sorted(everything_in(folder)) == [".lock", ".m.glb.part", ".m.glb.version"]
    there = len(part_of(folder))
    assert 0 < there < len(MODEL)
    simulator.rate = None
    watched = begin()
    assert watched.next(DownloadEnded).folder == str(folder)
    assert everything_in(folder) == {"m.glb": MODEL}
    assert ranges(simulator) == ["", f"bytes={there}-"]


# Several Blenders.


def test_of_two_trackers_on_one_task_the_second_waits_says_so_and_fetches_nothing_twice(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    one, two = begin(), begin()
    task = done(one, simulator)
    two.gets(task, Status.DONE)
    simulator.rate = 300_000
    one.tracker.download(task.task_id, tmp_path)
    received(one, task, 1)
    two.tracker.download(task.task_id, tmp_path)
    two.next(
        DownloadProgress,
        lambda m: str(m.progress.waiting) == "Another Blender is downloading this task; waiting for it",
    )
    two.tracker.delete_files(task.task_id)
    assert two.next(FilesDeleted).failed
    folders = {one.next(DownloadEnded).folder, two.next(DownloadEnded).folder}
    assert len(folders) == 1
    assert everything_in(Path(folders.pop())) == FILES
    assert ranges(simulator) == [""] * len(FILES)
    for watched in (one, two):
        wait_until(lambda watched=watched: latest(watched, task).download is Download.SAVED)
        assert len(latest(watched, task).files) == 3


def test_what_another_blender_downloads_is_left_to_it_at_the_start_and_not_deleted(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    one = begin()
    task = done(one, simulator)
    simulator.rate = 300_000
    one.tracker.download(task.task_id, tmp_path)
    received(one, task, 1)
    two = begin()
    assert in_words(two.next(DownloadEnded)) == DownloadEnded(task.task_id, "", None)
    assert latest(two, task).download is Download.WANTED
    two.tracker.delete_files(task.task_id)
    deleted = two.next(FilesDeleted)
    assert deleted.failed
    assert str(deleted.said) == "Another Blender is downloading this task. Cancel that there first."
    assert one.next(DownloadEnded).folder
    two.becomes(task, lambda t: t.download is Download.SAVED)
    assert ranges(simulator) == [""] * len(FILES)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_one_that_waits_for_a_blender_that_is_killed_goes_on_for_it(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    watched = begin()
    task = done(watched, simulator, {"m.glb": MODEL})
    simulator.rate = 150_000
    process = another_blender(path, simulator, task, tmp_path)
    watched.tracker.download(task.task_id, tmp_path)
    watched.next(DownloadProgress, lambda m: "waiting for it" in str(m.progress.waiting))
    kill(process)
    simulator.rate = None
    folder = Path(watched.next(DownloadEnded).folder)
    assert everything_in(folder) == {"m.glb": MODEL}
    first, second = ranges(simulator)
    assert first == "" and re.fullmatch(r"bytes=\d+-", second)


@pytest.mark.parametrize("by", ["this tracker", "another tracker", "another store"])
def test_a_task_forgotten_while_it_is_downloaded_leaves_whole_files_only_and_is_told_of_no_more(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path, by: str
) -> None:
    watched = begin()
    task = done(watched, simulator, {"a.bin": b"a", "m.glb": MODEL})
    other = begin() if by == "another tracker" else watched
    if other is not watched:
        other.gets(task, Status.DONE)
    simulator.rate = 100_000
    watched.tracker.download(task.task_id, tmp_path)
    received(watched, task, 5000)
    if by == "another store":
        with closing(Store(path)) as opened:
            opened.forget(task.task_id)
    else:
        other.tracker.forget(task.task_id)
    watched.next(TaskRemoved)
    folder = tmp_path / f"{task.name} {task.task_id}"
    wait_until(lambda: everything_in(folder) == {"a.bin": b"a"})
    watched.next(Idle)
    told = watched.of(Message)
    removed = next(n for n, m in enumerate(told) if isinstance(m, TaskRemoved))
    assert not [m for m in told[removed + 1 :] if getattr(m, "task_id", "") == task.task_id]
    assert not watched.of(Notice)
    # Its place is free, and the tracker is well.
    simulator.rate = None
    assert saved(watched, simulator, tmp_path).download is Download.SAVED


@pytest.mark.parametrize("files", [False, True])
def test_forget_keeps_the_files_or_deletes_them_and_nothing_else(
    begin: Begin, simulator: Simulator, tmp_path: Path, files: bool
) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path)
    folder = Path(task.folder)
    (folder / "mine.txt").write_text("the user's own")
    watched.tracker.forget(task.task_id, files=files)
    forgotten = watched.next(Forgotten).task
    assert (forgotten.files, forgotten.folder) == (((), "") if files else (task.files, task.folder))
    assert {path.name for path in folder.iterdir()} == {"mine.txt", *(() if files else (f.name for f in task.files))}
    watched.tracker.restore(forgotten)
    watched.next(Restored)
    assert watched.of(TaskChanged)[-1].task == forgotten


def test_a_task_whose_files_cannot_be_deleted_stays(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    task = done(watched, simulator, {"m.glb": MODEL})
    simulator.rate = 100_000
    watched.tracker.download(task.task_id, tmp_path)
    received(watched, task, 5000)
    watched.tracker.forget(task.task_id, files=True)
    assert "cancel that first" in str(watched.next(FilesDeleted).said)
    simulator.rate = None
    watched.next(DownloadEnded)
    assert not watched.of(TaskRemoved) and not watched.of(Forgotten)


def test_a_restored_task_does_not_go_on_downloading_by_itself(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    task = done(watched, simulator, {"m.glb": MODEL})
    simulator.rate = 100_000
    watched.tracker.download(task.task_id, tmp_path)
    received(watched, task, 5000)
    watched.tracker.forget(task.task_id)
    watched.tracker.restore(watched.next(Forgotten).task)
    watched.next(Restored)
    watched.next(Idle)
    last = watched.of(TaskChanged)[-1].task
    assert (last.status, last.download, last.folder) == (Status.DONE, Download.NONE, "")


def test_nothing_is_told_of_a_forgotten_task_though_its_worker_cannot_be_cut_short(
    begin: Begin, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As with a name server that hangs.
    monkeypatch.setattr(Pool, "cancel", lambda _self, _question: None)
    watched = begin()
    task = done(watched, simulator, {"m.glb": MODEL})
    simulator.rate = 300_000
    watched.tracker.download(task.task_id, tmp_path)
    received(watched, task, 1)
    watched.tracker.forget(task.task_id)
    watched.next(TaskRemoved)
    watched.next(Idle)
    assert everything_in(tmp_path / f"{task.name} {task.task_id}") == {"m.glb": MODEL}
    assert isinstance([m for m in watched.of(Message) if getattr(m, "task_id", "") == task.task_id][-1], TaskRemoved)


def test_a_forgotten_task_leaves_nothing_of_a_cancelled_download_and_nothing_elsewhere(
    begin: Begin, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "working directory"
    here.mkdir()
    (here / ".mine.part").write_bytes(b"mine")
    monkeypatch.chdir(here)
    watched = begin()
    simulator.rate = 150_000
    tasks = [done(watched, simulator) for _ in range(DOWNLOADERS + 2)]
    for task in tasks[:-1]:
        watched.tracker.download(task.task_id, tmp_path / "saved")
    received(watched, tasks[0], 1)
    watched.tracker.cancel_download(tasks[0].task_id)
    watched.next(DownloadEnded)
    # Cancelled, running, waiting, never begun.
    for task in tasks:
        watched.tracker.delete_files(task.task_id) if task is tasks[-1] else None
        watched.tracker.forget(task.task_id)
    for _ in tasks:
        watched.next(TaskRemoved)
    wait_until(lambda: everything_in(tmp_path / "saved") == {})
    wait_until(lambda: [*(tmp_path / "saved").iterdir()] == [])
    assert everything_in(here) == {".mine.part": b"mine"}
    assert not watched.of(Notice)


# Deleting.


def test_deleting_takes_the_saved_files_and_leaves_the_users_own(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path)
    folder = Path(task.folder)
    (folder / "own.blend").write_bytes(b"mine")
    (folder / ".old.glb.part").write_bytes(b"part")
    (folder / "texture.png").unlink()
    watched.tracker.delete_files(task.task_id)
    assert in_words(watched.next(FilesDeleted)) == FilesDeleted(task.task_id, "300 kB deleted.")
    left = {f"{folder.name}/own.blend": b"mine", "rodin/tasks.sqlite": path.read_bytes()}
    assert {name: content for name, content in everything_in(tmp_path).items() if ".copy." not in name} == left
    after = stored(path, task)
    assert (after.files, after.folder, after.download, after.size) == ((), "", Download.NONE, 0)
    watched.tracker.download(task.task_id, tmp_path)
    assert watched.next(DownloadEnded).folder == str(folder)
    (folder / "own.blend").unlink()
    watched.tracker.delete_files(task.task_id)
    watched.next(FilesDeleted)
    assert not folder.exists()
    watched.tracker.delete_files(task.task_id)
    assert in_words(watched.next(FilesDeleted)) == FilesDeleted(task.task_id, "0 kB deleted.")


def test_deleting_is_refused_during_a_download(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path)
    (Path(task.folder) / "base_pbr.glb").unlink()
    simulator.rate = 150_000
    watched.tracker.download(task.task_id, tmp_path)
    received(watched, task, 1)
    watched.tracker.delete_files(task.task_id)
    assert in_words(watched.next(FilesDeleted)) == FilesDeleted(
        task.task_id, "It is being downloaded: cancel that first.", failed=True
    )
    assert sorted(visible_in(Path(task.folder))) == ["preview.webp", "texture.png"]
    watched.tracker.cancel_download(task.task_id)
    watched.next(DownloadEnded)
    watched.tracker.delete_files(task.task_id)
    assert in_words(watched.next(FilesDeleted)) == FilesDeleted(task.task_id, "0 kB deleted.")
    assert not Path(task.folder).exists()


def test_what_cannot_be_deleted_is_told_and_stays_in_the_list(
    begin: Begin, simulator: Simulator, path: Path, tmp_path: Path
) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path)
    folder = Path(task.folder)
    (folder / "texture.png").unlink()
    (folder / "texture.png").mkdir()
    watched.tracker.delete_files(task.task_id)
    assert in_words(watched.next(FilesDeleted)) == FilesDeleted(
        task.task_id,
        f"300 kB deleted. 'texture.png' in {folder} could not be deleted: {os.strerror(errno.EISDIR)}. "
        "Close what uses it, or allow writing there, and try again.",
        failed=True,
    )
    after = stored(path, task)
    assert [file.name for file in after.files] == ["texture.png"]
    assert (after.folder, after.download) == (str(folder), Download.NONE)
    (folder / "texture.png").rmdir()
    watched.tracker.delete_files(task.task_id)
    assert not watched.next(FilesDeleted).failed
    assert not folder.exists()


def test_on_a_read_only_disk_nothing_is_deleted_and_all_stays_in_the_list(
    begin: Begin, simulator: Simulator, path: Path, read_only: tuple[Path, Callable[[], None]]
) -> None:
    parent, make_writable = read_only
    watched = begin()
    make_writable()
    task = saved(watched, simulator, parent)
    subprocess.run(["mount", "-o", "remount,ro,bind", parent], check=True)
    watched.tracker.delete_files(task.task_id)
    deleted = watched.next(FilesDeleted)
    assert deleted.failed and str(deleted.said).startswith("0 kB deleted. 'base_pbr.glb' in ")
    assert os.strerror(errno.EROFS) in str(deleted.said)
    assert len(stored(path, task).files) == 3
    make_writable()
    watched.tracker.delete_files(task.task_id)
    assert in_words(watched.next(FilesDeleted)) == FilesDeleted(task.task_id, "300 kB deleted.")


# Models.


def checked(watched: Watched, task: Task, name: str = "") -> ModelChecked:
    watched.tracker.check_model(task.task_id, name)
    return in_words(watched.next(ModelChecked))


def test_a_model_is_found_whole_or_told_why_not(begin: Begin, simulator: Simulator, tmp_path: Path) -> None:
    watched = begin()
    files = {"a_shaded.glb": glb(1000), "a_pbr.glb": glb(2000), "b.obj": b"v 0 0 0", "t.png": PNG}
    task = done(watched, simulator, files)
    assert checked(watched, task).trouble == "None of its files is there. Download it again."
    watched.tracker.download(task.task_id, tmp_path)
    folder = Path(watched.next(DownloadEnded).folder)
    pbr, shaded = folder / "a_pbr.glb", folder / "a_shaded.glb"
    assert checked(watched, task) == ModelChecked(task.task_id, str(pbr), 2000)
    assert checked(watched, task, "a_shaded.glb") == ModelChecked(task.task_id, str(shaded), 1000)
    assert checked(watched, task, "b.obj") == ModelChecked(task.task_id, str(folder / "b.obj"), 7, triangles=0)
    assert checked(watched, task, "t.png").trouble == (
        "There is no model 't.png' among its 4 files. Its folder shows what there is."
    )
    for broken in (glb(2000)[:-1], glb(2000)[:7], b"glTF", b"", b"<html>"):
        watched.tracker.change(task.task_id, lambda t: replace(t, download=Download.SAVED))
        pbr.write_bytes(broken)
        trouble = checked(watched, task).trouble
        assert trouble.startswith(f"{pbr} cannot be imported. It is ")
        assert trouble.endswith(" Download it again.")
        lost = watched.becomes(task, lambda t: t.download is Download.NONE)
        assert len(lost.files) == 4, "it can still be deleted"
    pbr.unlink()
    pbr.mkdir()
    assert os.strerror(errno.EISDIR) in checked(watched, task).trouble
    watched.tracker.change(task.task_id, lambda t: replace(t, download=Download.SAVED))
    assert checked(watched, task, "a_shaded.glb").trouble is None
    pbr.rmdir()
    assert checked(watched, task).trouble == (
        f"{pbr} cannot be read: {os.strerror(errno.ENOENT)}. Download it again."
    )
    lost = watched.becomes(task, lambda t: t.download is Download.NONE)
    assert [file.name for file in lost.files] == ["a_shaded.glb", "b.obj", "t.png"], "it is to be downloaded again"


def test_a_task_without_a_model_is_saved_and_the_check_tells(
    begin: Begin, simulator: Simulator, tmp_path: Path
) -> None:
    watched = begin()
    task = saved(watched, simulator, tmp_path, {"t.png": PNG, "readme.txt": b""})
    assert task.download is Download.SAVED
    assert checked(watched, task) == ModelChecked(
        task.task_id, trouble="There is no model among its 2 files. Its folder shows what there is."
    )
