"""Disks and the list on them: full, locked, read-only, damaged, deleted, replaced."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tools.faults.processes import Process
from tools.faults.world import NotRun, Row, World, asked_again, one_done_one_half_done, recover, usual_course
from tools.testing.disks import fill, glb

FILES = {"base_basic_pbr.glb": glb(200_000), "texture_diffuse.png": b"\x89PNG\r\n\x1a\n" + bytes(60_000)}


def _mounted(folder: Path, *options: str) -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise NotRun("needs root on Linux, to mount a file system")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotRun(f"this system does not let us mount a file system: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _unstorable(world: World, strike: Callable[[], None], relieve: Callable[[], None], says: str) -> None:
    """The list cannot be written: a task that is tracked then is refused with a reason, and accepted afterwards."""
    process = world.process(lock_timeout=1.0)
    running = one_done_one_half_done(world, process)
    strike()
    world.reads(process, running, says)
    newcomer = world.task("Waiting")
    process.do("follow", number=newcomer.number, answer=newcomer.answer)
    notice = process.event("notice")
    if says not in notice.text or "not followed yet" not in notice.text:
        world.broken.append(f"recovered: of the task that could not be stored the user read: {notice.text}")
    relieve()
    world.follow(process, newcomer)
    recover(world, process)
    world.recovered += "; the refused one was tracked again"


def disk_full(world: World) -> None:
    disk = world.folder / "user"
    _mounted(disk, "-t", "tmpfs", "-o", "size=512k", "tmpfs")
    _unstorable(world, lambda: fill(disk) and None, (disk / "filler").unlink, "disk")


def disk_full_from_the_start(world: World) -> None:
    """There is no list yet, and no room to make one."""
    disk = world.folder / "user"
    _mounted(disk, "-t", "tmpfs", "-o", "size=512k", "tmpfs")
    fill(disk)
    process = world.process()
    task = world.task("Generating")
    process.do("follow", number=task.number, answer=task.answer)
    notice = process.event("notice")
    world.state, world.message = "not followed", notice.text
    if "disk" not in notice.text:
        world.broken.append("recovered: the user does not read that the disk is full")
    (disk / "filler").unlink()
    world.follow(process, task)
    recover(world, process)
    world.recovered += "; the refused one was tracked again"


def read_only(world: World) -> None:
    """A mount of the folder over itself: what is open stays open, and nothing new can be made in it."""
    folder = world.folder / "user"

    def strike() -> None:
        _mounted(folder, "--bind", str(folder))
        _mounted(folder, "-o", "remount,ro,bind")

    _unstorable(world, strike, lambda: _unmount(folder), "cannot be opened")


def read_only_from_the_start(world: World) -> None:
    folder = world.folder / "user"
    process = world.process()
    for ends in (("Done",), ("Done", "Generating")):
        world.follow(process, world.task(*ends))
    done, running = world.tasks
    world.gets(process, done, "DONE")
    world.gets(process, running, "GENERATING")
    process.stop()
    _mounted(folder, "--bind", str(folder))
    _mounted(folder, "-o", "remount,ro,bind")
    process = world.process()
    said = process.event("obstacle")
    world.state, world.message = "the list is shown as far as it can be read", said.text
    if "read-only" not in said.text.lower():
        world.broken.append(f"recovered: the user does not read that it is read-only, but: {said.text}")
    subprocess.run(["mount", "-o", "remount,rw,bind", str(folder)], check=True)
    recover(world, process)
    process.stop()
    _unmount(folder)


class _Locked:
    """Another process that holds the list locked."""

    def __init__(self, path: Path) -> None:
        script = (
            "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None);"
            "db.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(120)"
        )
        command = [sys.executable, "-c", script, str(path)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.process.stdout.readline()

    def end(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def locked(world: World) -> None:
    held: list[_Locked] = []
    _unstorable(world, lambda: held.append(_Locked(world.list)), lambda: held.pop().end(), "holds it locked")


def locked_for_a_moment(world: World) -> None:
    """For less than a follower waits: nobody is to notice."""

    def strike() -> None:
        holding = _Locked(world.list)
        time.sleep(2.0)
        holding.end()

    usual_course(world, strike, lambda: None, "")


# Damage.


def _twelve(world: World) -> Process:
    """A list of twelve, six of them done, that nobody has open now."""
    process = world.process()
    for number in range(12):
        task = world.task(*(("Done",) if number % 2 else ("Done", "Generating")))
        world.follow(process, task)
    for number, task in enumerate(world.tasks):
        world.gets(process, task, "DONE" if number % 2 else "GENERATING", 40.0)
    return process


def _note_losses(world: World) -> Process:
    """Begin anew on a damaged list. What it lost is allowed only where it was told, and the damaged one was kept."""
    damaged = world.list.read_bytes()
    process = world.process()
    probe = world.task("Generating", name="Probe")
    world.follow(process, probe)
    world.gets(process, probe, "GENERATING")
    time.sleep(0.3)
    there = set(process.shown)
    gone = [task for task in world.tasks if task.task_id not in there]
    notices = process.all("notice")
    aside = list(world.list.parent.glob("tasks.damaged-*.sqlite"))
    kept = any(path.read_bytes() == damaged for path in aside)
    world.told_lost = bool(notices) and "damaged" in notices[0].text and kept
    world.message = notices[0].text if notices else ""
    world.state = f"{len(world.tasks) - len(gone) - 1} of 12 tasks are in the list"
    for task in gone:
        task.lost = True
    if gone:
        world.lost = f"{len(gone)} of 12, told" if world.told_lost else f"{len(gone)} of 12, NOT told"
        if world.told_lost and f"{12 - len(gone)} of its tasks" not in world.message:
            world.broken.append("kept: the notice tells another number of tasks than there are")
    return process


def damaged(world: World, damage: Callable[[World], None]) -> None:
    _twelve(world).stop()
    damage(world)
    recover(world, _note_losses(world))
    world.recovered += " (those that are left)" if world.lost != "nothing" else ""


def random_bytes(world: World) -> None:
    """Noise of up to a page's length, somewhere in the file."""
    size = world.list.stat().st_size
    length = world.chance.randrange(16, 4096)
    start = world.chance.randrange(0, size - length)
    with world.list.open("r+b") as file:
        file.seek(start)
        file.write(world.chance.randbytes(length))


def half(world: World) -> None:
    os.truncate(world.list, world.list.stat().st_size // 2)


def nine_tenths(world: World) -> None:
    os.truncate(world.list, world.list.stat().st_size * 9 // 10)


def no_database(world: World) -> None:
    world.list.write_text("<html>Your sync client could not merge this file</html>\n" * 100)


def damaged_while_open(world: World) -> None:
    """The follower goes on with what it has in memory; the next start finds the damage."""
    process = _twelve(world)
    random_bytes_in_all_pages(world)
    time.sleep(2.0)
    process.stop()
    recover(world, _note_losses(world))


def damaged_while_open_and_another_begins(world: World) -> None:
    """Another Blender finds the damage and sets the list aside. The first one still knows all of its tasks."""
    first = _twelve(world)
    random_bytes_in_all_pages(world)
    second = world.process()
    world.message = second.event("notice").text
    time.sleep(3.0)
    there = sum(task.task_id in second.shown for task in world.tasks)
    world.state = f"{there} of 12 tasks are in the list again"
    if there < len(world.tasks):
        world.lost = f"{len(world.tasks) - there} of 12"
    recover(world, first)
    for task in world.tasks:
        world.gets(second, task, "DONE")


def random_bytes_in_all_pages(world: World) -> None:
    with world.list.open("r+b") as file:
        for start in range(0, world.list.stat().st_size, 4096):
            file.seek(start + world.chance.randrange(100, 3000))
            file.write(world.chance.randbytes(200))


# Gone, or another.


def deleted(world: World) -> None:
    usual_course(world, world.list.unlink, lambda: None, "")


def folder_deleted(world: World) -> None:
    usual_course(world, lambda: shutil.rmtree(world.list.parent), lambda: None, "")


def moved_and_back(world: World) -> None:
    away = world.folder / "tasks.away.sqlite"

    def strike() -> None:
        world.list.rename(away)
        time.sleep(2.0)

    usual_course(world, strike, lambda: away.replace(world.list) and None, "", late=False)


def replaced_by_a_copy(world: World) -> None:
    """As a sync client or a backup program does: written beside it, then renamed."""

    def strike() -> None:
        copy = world.list.with_name("tasks.copy.sqlite")
        with sqlite3.connect(world.list) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        copy.replace(world.list)

    usual_course(world, strike, lambda: None, "")


def replaced_by_an_older_copy(world: World) -> None:
    """As a user does who brings back a backup. What came after it is still known."""
    process = world.process()
    early, late = world.task("Done", "Generating"), world.task("Done", "Generating")
    world.follow(process, early)
    world.gets(process, early, "GENERATING")
    copy = world.folder / "tasks.backup.sqlite"
    shutil.copy(world.list, copy)
    world.follow(process, late)
    world.gets(process, late, "GENERATING")
    began = time.time()
    copy.replace(world.list)
    asked_again(world, late, began)
    world.note(process.shown[late.task_id])
    recover(world, process)


# Downloads.


def download(world: World, strike: Callable[[], None], relieve: Callable[[], None], says: str) -> None:
    """A download meets the fault; pressed again after it, it ends with whole files."""
    process = world.process()
    task = world.task("Done", files=FILES)
    world.follow(process, task)
    world.gets(process, task, "DONE")
    strike()
    folder = world.folder / "downloads"
    process.do("download", task_id=task.task_id, folder=str(folder))
    first = process.event("download", 60.0)
    world.state, world.message = "DONE, its files not saved", first.text
    if first.whole or says not in first.text:
        world.broken.append(f"recovered: the user did not read '{says}', but: {first.text}")
    parts = [path for path in folder.rglob("*") if path.is_file() and path.name in FILES]
    if any(path.read_bytes() != FILES[path.name] for path in parts):
        world.broken.append("kept: a file that is not whole has its final name")
    relieve()
    process.do("download", task_id=task.task_id, folder=str(folder))
    process.until(lambda: len(process.all("download")) == 2, "the second attempt ended", 60.0)
    last = process.all("download")[-1]
    saved = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    if not last.whole or saved != FILES:
        world.broken.append(f"recovered: the second download did not bring all: {last.text}")
    world.recovered = "after Download"


def _download_fault(fault: str, says: str, path: str = "files") -> Callable[[World], None]:
    return lambda world: download(
        world, lambda: world.simulator.fail(path, f"{fault}!"), lambda: world.simulator.mend(path), says
    )


def download_to_full_disk(world: World) -> None:
    disk = world.folder / "downloads"
    _mounted(disk, "-t", "tmpfs", "-o", "size=512k", "tmpfs")
    download(world, lambda: fill(disk) and None, (disk / "filler").unlink, "")


DOWNLOADS = (
    ("a file cut in the middle, each time", "cut-in-the-middle", "broke off"),
    ("a file cut in the middle, without a version", "cut-without-version", "broke off"),
    ("a file that falls silent in the middle", "silent-in-the-middle", "did not answer in time"),
    ("a file that is shorter than announced", "announces-more", "broke off"),
    ("a file without a length, cut", "no-length-and-cut", ""),
    ("a link to http on another host", "to-http", "not https"),
    ("a link in circles", "in-circles", "from one address to the next"),
    ("a file server that answers 500", "500", "HTTP 500"),
    ("a file server that resets", "reset", "broke off"),
)

LIST = (
    Row("disk full", "a file system of 512 kB is filled to its last byte", disk_full),
    Row("disk full before there is a list", "the same, before anything was written", disk_full_from_the_start),
    Row("the user's folder read-only", "it is mounted so over itself", read_only),
    Row("the user's folder read-only from the start", "it is mounted so before", read_only_from_the_start),
    Row("the list locked by another program", "a process holds it by BEGIN EXCLUSIVE", locked),
    Row("the list locked for 2 s", "the same, and lets go", locked_for_a_moment),
    *(
        Row(
            f"the list damaged by noise ({number} of 6)",
            "16 to 4,096 random bytes somewhere in the closed file",
            lambda world: damaged(world, random_bytes),
            short=number <= 2,
        )
        for number in range(1, 7)
    ),
    Row("the list cut to half", "the closed file is truncated", lambda world: damaged(world, half)),
    Row("the list cut within a page", "to nine tenths", lambda world: damaged(world, nine_tenths)),
    Row("the list overwritten", "HTML in the closed file's place", lambda world: damaged(world, no_database)),
    Row("the list damaged while open", "200 random bytes in each page of the open file", damaged_while_open),
    Row(
        "the list damaged while open, found by another",
        "the same, then a second process opens the list",
        damaged_while_open_and_another_begins,
    ),
    Row("the list deleted while open", "`unlink`", deleted),
    Row("the list's folder deleted while open", "`rm -r`", folder_deleted),
    Row("the list moved away and back", "`rename`, 2 s, `rename`", moved_and_back),
    Row("the list replaced while open", "by a copy of it, renamed into its place", replaced_by_a_copy),
    Row("the list replaced by an older one", "by a copy from before a task was tracked", replaced_by_an_older_copy),
)
FILE_ROWS = (
    *(
        Row(name, f"the file server's fault `{fault}`", _download_fault(fault, says), short=number % 3 == 0)
        for number, (name, fault, says) in enumerate(DOWNLOADS)
    ),
    Row("the list of files does not come", "`502-html` to each call", _download_fault("502-html", "502", "download")),
    Row("disk full while downloading", "the downloads' file system is full", download_to_full_disk),
)
