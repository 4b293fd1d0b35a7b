"""The outbox: whole or not there, sent by one and once, and what its files alone say of a submission."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from rodin_blender.service.answers import RawAnswer
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Secret
from rodin_blender.storage import locks
from rodin_blender.storage import outbox as outbox_module
from rodin_blender.storage.database import StoreError
from rodin_blender.storage.outbox import NotSendable, Outbox, OutboxError, Sending, State
from rodin_blender.storage.store import StatusChanged
from rodin_blender.storage.stored_request import StoredRequest, to_json
from rodin_blender.tasks import kinds, options
from rodin_blender.tasks.generation_request import GenerationRequest
from rodin_blender.tasks.task import Box, Placement, Status, Task
from tests.unit.disks import fill, read_only, refusing, small_disk  # noqa: F401
from tests.unit.pictures import large_file, png_file

ANSWER = RawAnswer(201, "7", b'{"uuid": "u", "jobs": {"subscription_key": "k"}}')


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "folder" / "outbox")


def request(task_id: str = "0a1b2c3d", pictures: tuple[Path, ...] = (), prompt: str = "A glazed vase") -> GenerationRequest:
    return GenerationRequest(
        task_id, prompt, pictures, options.checked({"tier": "Gen-2", "seed": 7}), "Vase",
        Placement((1.0, -2.5, 0.0), "Scène", "/show/a.blend", Box((1.0, 0.0, 0.0, 0.0), (2.0, 1.0, 0.5))), "parent",
    )  # fmt: skip


def in_other_process(outbox: Outbox, script: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """A Python that has the outbox as `box`, and that tells `ready` on a line of its own."""
    head = (
        "import sys, time; from pathlib import Path; from rodin_blender.storage.outbox import *\n"
        "from rodin_blender.service.answers import RawAnswer\n"
        f"box = Outbox(Path({str(outbox.folder)!r}))\n"
    )
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", head + script], stdin=pipe, stdout=pipe, text=True, env=environment)


@contextmanager
def sending_of(outbox: Outbox, task_id: str, ask_balance: Callable[[], float | None]) -> Iterator[Sending]:
    with outbox.claim(task_id) as claim, claim.sending(ask_balance) as sending:
        yield sending


def task_of(task_id: str, status: Status = Status.UNSENT) -> Task:
    return Task(task_id, "A glazed vase", Secret(""), status=status, kind="generate")


def forget(outbox: Outbox, task_id: str) -> None:
    assert outbox.forget(task_of(task_id), lambda _id, _status: True)


def restore(outbox: Outbox, task_id: str) -> None:
    task = task_of(task_id)
    assert outbox.restore(task, lambda: task) is task


def _with_option(name: str, value: str) -> bytes:
    described = to_json(StoredRequest(request(), (), 1.0))
    return json.dumps({**described, "options": {**described["options"], name: value}}).encode()


def _of_kind(name: str | None) -> bytes:
    described = {**to_json(StoredRequest(request(), (), 1.0)), "kind": name}
    return json.dumps({key: value for key, value in described.items() if value is not None}).encode()


# Kept before it is sent.


def test_a_wish_and_its_pictures_come_back_as_they_were(outbox: Outbox, tmp_path: Path) -> None:
    one, two = png_file(tmp_path / "front.png"), png_file(tmp_path / "Seite.PNG", 700, 2)
    made = outbox.add(request(pictures=(one, two)))
    found = outbox.read("0a1b2c3d")
    assert found == made or (found.request.prompt, found.pictures) == (made.request.prompt, made.pictures)
    assert found.request.options == request().options and found.request.placement == request().placement
    assert (found.request.name, found.request.parent) == ("Vase", "parent")
    assert [(picture.name, picture.kind) for picture in found.pictures] == [("1/front.png", "image/png"), ("2/Seite.png", "image/png")], "as the user knows them"
    copies = outbox.picture_paths("0a1b2c3d", ("1/front.png", "2/Seite.png"))
    assert [path.read_bytes() for path in copies] == [one.read_bytes(), two.read_bytes()]
    assert outbox.ids() == ["0a1b2c3d"] and outbox.state("0a1b2c3d") is State.UNSENT
    again = outbox.add(replace(request(pictures=(copies[1], copies[0])), task_id="4e5f6a7b"))
    assert [picture.name for picture in again.pictures] == ["1/Seite.png", "2/front.png"], "copies of copies, too"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_user_may_read_what_is_to_be_sent(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add(request(pictures=(png_file(tmp_path / "a.png"),)))
    with sending_of(outbox, "0a1b2c3d", lambda: 1.0) as sending:
        sending.answered(ANSWER)
    for path in outbox.folder.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_bad_picture_leaves_nothing_behind(outbox: Outbox, tmp_path: Path) -> None:
    good, small = png_file(tmp_path / "good.png"), png_file(tmp_path / "small.png", 100)
    for bad in (small, tmp_path / "missing.png", tmp_path):
        with pytest.raises(BadInput):
            outbox.add(request(pictures=(good, bad)))
    assert [*outbox.folder.iterdir()] == [] and outbox.ids() == []


def test_a_full_disk_leaves_nothing_behind(small_disk: Path, tmp_path: Path) -> None:  # noqa: F811
    outbox = Outbox(small_disk / "outbox")
    outbox.add(request("first"))
    fill(small_disk)
    with pytest.raises(OutboxError, match="No space left"):
        outbox.add(request("second", (large_file(tmp_path / "a.png", 200_000),)))
    assert outbox.ids() == ["first"] and [path.name for path in outbox.folder.iterdir()] == ["first"]


def test_the_answer_has_its_room_on_a_disk_that_gets_full_meanwhile(small_disk: Path) -> None:  # noqa: F811
    outbox = Outbox(small_disk / "outbox")
    for number, end in enumerate((lambda sending: sending.answered(ANSWER), lambda sending: sending.unsent())):
        outbox.add(request(f"task-{number}"))
        with sending_of(outbox, f"task-{number}", lambda: None) as sending:
            filler = fill(small_disk)
            end(sending)
        filler.unlink()
    assert outbox.answer("task-0") == ANSWER
    assert outbox.state("task-1") is State.UNSENT


# Sent once.


def test_one_of_many_threads_and_processes_sends_it(outbox: Outbox) -> None:
    outbox.add(request())
    others = [
        in_other_process(
            outbox,
            "try:\n"
            "    with box.claim('0a1b2c3d') as c, c.sending(lambda: 1.0) as s: time.sleep(0.2); s.answered(RawAnswer(201, None, b'{}')); print('sent')\n"
            "except NotSendable: print('not')\n",
        )
        for _ in range(4)
    ]
    ours: list[str] = []

    def send() -> None:
        try:
            with sending_of(outbox, "0a1b2c3d", lambda: 1.0) as sending:
                time.sleep(0.2)
                sending.answered(ANSWER)
            ours.append("sent")
        except NotSendable:
            ours.append("not")

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = ours + [process.communicate(timeout=30)[0].split()[-1] for process in others]
    assert sorted(said) == ["not"] * 7 + ["sent"]


def test_a_sender_that_asks_for_the_balance_is_sending(outbox: Outbox) -> None:
    outbox.add(request())
    seen: list[State] = []
    with sending_of(outbox, "0a1b2c3d", lambda: seen.append(outbox.state("0a1b2c3d"))) as sending:
        sending.unsent()
    assert (seen, outbox.state("0a1b2c3d")) == ([State.SENDING], State.UNSENT)


def test_so_it_is_where_the_file_system_has_no_locks(outbox: Outbox, refusing: Callable[..., dict[str, str]]) -> None:  # noqa: F811
    outbox.add(request())
    script = "with box.claim('0a1b2c3d') as c, c.sending(lambda: print(box.state('0a1b2c3d').name)) as sending: sending.unsent()"
    process = in_other_process(outbox, script, refusing(outbox.folder, flock=errno.ENOLCK))
    assert process.communicate(timeout=30)[0] == "SENDING\n"


def test_after_a_sure_refusal_it_may_be_sent_again_and_after_an_answer_not(outbox: Outbox) -> None:
    outbox.add(request())
    for number in (1, 2, 3):
        with sending_of(outbox, "0a1b2c3d", lambda: 12.5) as sending:
            assert outbox.last_attempt("0a1b2c3d")[::2] == (number, 12.5)
            if number == 2:
                sending.answered(RawAnswer(429, "5", b"later"))  # Kept, then found to be no answer for good.
            sending.unsent()
        assert outbox.state("0a1b2c3d") is State.UNSENT
    with sending_of(outbox, "0a1b2c3d", lambda: None) as sending:
        sending.answered(ANSWER)
    assert outbox.state("0a1b2c3d") is State.ANSWERED and outbox.answer("0a1b2c3d") == ANSWER
    with pytest.raises(NotSendable), sending_of(outbox, "0a1b2c3d", lambda: None):
        pass


def test_what_is_gone_or_was_never_there_is_not_sent(outbox: Outbox) -> None:
    outbox.add(request())
    forget(outbox, "0a1b2c3d")
    for task_id in ("0a1b2c3d", "never"):
        assert outbox.state(task_id) is State.GONE
        with pytest.raises(NotSendable), sending_of(outbox, task_id, lambda: None):
            pass


def test_an_attempt_whose_marker_cannot_be_written_is_none(read_only: tuple[Path, Callable[[], None]]) -> None:  # noqa: F811
    folder, make_writable = read_only
    make_writable()
    outbox = Outbox(folder / "outbox")
    outbox.add(request())
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    with pytest.raises(OutboxError), sending_of(outbox, "0a1b2c3d", lambda: None):
        pytest.fail("It may not be sent without a marker.")
    make_writable()
    assert outbox.state("0a1b2c3d") is State.UNSENT


# What the files say when the sender is gone.


def test_a_living_sender_is_sending_and_a_killed_one_is_uncertain(outbox: Outbox) -> None:
    outbox.add(request())
    sender = in_other_process(outbox, "with box.claim('0a1b2c3d') as c, c.sending(lambda: 12.5): print('ready', flush=True); time.sleep(60)\n")
    assert sender.stdout and sender.stdout.readline() == "ready\n"
    try:
        assert outbox.state("0a1b2c3d") is State.SENDING
        with pytest.raises(NotSendable), sending_of(outbox, "0a1b2c3d", lambda: None):
            pass
    finally:
        sender.send_signal(signal.SIGKILL)
        sender.wait()
    assert outbox.state("0a1b2c3d") is State.UNCERTAIN
    assert outbox.last_attempt("0a1b2c3d").balance == 12.5
    with pytest.raises(NotSendable), sending_of(outbox, "0a1b2c3d", lambda: None):
        pass


def test_a_note_that_a_kill_left_empty_is_an_attempt_all_the_same(outbox: Outbox) -> None:
    outbox.add(request())
    (outbox.folder / "0a1b2c3d" / "1.sent").touch()
    assert outbox.state("0a1b2c3d") is State.UNCERTAIN
    assert outbox.last_attempt("0a1b2c3d") == (1, 0.0, None)


def test_a_damaged_request_is_a_sentence_with_its_place(outbox: Outbox) -> None:
    outbox.add(request())
    for content in (b"", b"{", b"[]", b'{"schema": 1}', b"null", b"\xff\xfe", _with_option("tier", "Gen-9"), _of_kind("later")):
        (outbox.folder / "0a1b2c3d" / "request.json").write_bytes(content)
        with pytest.raises(OutboxError, match=r"request\.json is damaged"):
            outbox.read("0a1b2c3d")


def test_a_request_from_before_there_were_kinds_is_a_generation(outbox: Outbox) -> None:
    outbox.add(request())
    (outbox.folder / "0a1b2c3d" / "request.json").write_bytes(_of_kind(None))
    assert outbox.read("0a1b2c3d").request.kind is kinds.GENERATE


def test_what_was_forgotten_is_none_any_more_and_is_removed_after_a_day(outbox: Outbox) -> None:
    outbox.add(request("kept"))
    outbox.add(request("gone"))
    with sending_of(outbox, "gone", lambda: None) as sending:
        sending.answered(ANSWER)
    for task_id in ("gone", "never"):
        forget(outbox, task_id)
        assert outbox.state(task_id) is State.GONE
    assert outbox.ids() == ["kept"]
    restore(outbox, "gone")
    assert outbox.state("gone") is State.ANSWERED and outbox.read("gone").request.prompt == "A glazed vase"
    forget(outbox, "gone")
    outbox.clean()
    restore(outbox, "gone")
    assert "gone" in outbox.ids(), "a slip can be undone for a day"
    forget(outbox, "gone")
    os.utime(outbox.folder / "gone" / "forgotten.json", (1.0, 1.0))
    outbox.clean()
    restore(outbox, "gone")
    assert [path.name for path in outbox.folder.iterdir()] == ["kept"]


def test_it_is_forgotten_and_off_the_list_or_neither(outbox: Outbox) -> None:
    outbox.add(request())
    asked: list[tuple[State, Status | None]] = []

    def remove(task_id: str, status: Status | None) -> bool:
        asked.append((outbox.state(task_id), status))
        if len(asked) == 1:
            raise StatusChanged
        return False

    def fail() -> Task:
        raise StoreError("The disk is full.")

    with pytest.raises(StatusChanged):
        outbox.forget(task_of("0a1b2c3d", Status.UNCERTAIN), remove)
    assert outbox.state("0a1b2c3d") is State.UNSENT
    assert not outbox.forget(task_of("0a1b2c3d", Status.UNKNOWN), remove)
    assert outbox.state("0a1b2c3d") is State.GONE, "it was off the list before"
    assert asked == [(State.GONE, Status.UNCERTAIN), (State.GONE, None)]
    with pytest.raises(StoreError):
        outbox.restore(task_of("0a1b2c3d"), fail)
    assert outbox.state("0a1b2c3d") is State.GONE
    forget(outbox, "0a1b2c3d")
    restore(outbox, "0a1b2c3d")
    assert outbox.state("0a1b2c3d") is State.UNSENT and outbox.read("0a1b2c3d").request == request()


def test_what_another_program_sends_cannot_be_forgotten_and_its_answer_is_kept(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "LOCK_TIMEOUT", 0.1)
    outbox.add(request())
    sender = in_other_process(
        outbox,
        "with box.claim('0a1b2c3d') as c, c.sending(lambda: 12.5) as s:\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.readline()\n"
        "    s.answered(RawAnswer(201, None, b'{}'))\n",
    )
    assert sender.stdout and sender.stdin and sender.stdout.readline() == "ready\n"
    with pytest.raises(OutboxError, match="being sent just now"):
        forget(outbox, "0a1b2c3d")
    sender.communicate("\n", timeout=30)
    assert sender.returncode == 0 and outbox.state("0a1b2c3d") is State.ANSWERED


def test_on_two_computers_that_see_no_lock_of_each_other_one_sends(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looks, then the first sends it, twice, and then the second goes on."""
    outbox.add(request())
    other = Outbox(outbox.folder)
    look = Outbox.state_and_attempt

    def slow_look(self: Outbox, task_id: str) -> tuple[State, int]:
        found = look(self, task_id)
        if self is other:
            with sending_of(outbox, task_id, lambda: None) as sending:
                sending.unsent()
            stack.enter_context(sending_of(outbox, task_id, lambda: None))
        return found

    monkeypatch.setattr(locks, "acquire", lambda *_: nullcontext())
    monkeypatch.setattr(Outbox, "state_and_attempt", slow_look)
    with ExitStack() as stack, pytest.raises(NotSendable), sending_of(other, "0a1b2c3d", lambda: None):
        pytest.fail("Both send it.")


def test_what_is_forgotten_on_a_computer_that_sees_no_lock_has_its_answer_all_the_same(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "acquire", lambda *_: nullcontext())
    outbox.add(request())
    with sending_of(outbox, "0a1b2c3d", lambda: None) as sending:
        forget(outbox, "0a1b2c3d")
        sending.answered(ANSWER)
    assert outbox.answer("0a1b2c3d") == ANSWER


@pytest.mark.parametrize("lost", [("1.sent",), ("1.sent", "request.json"), ("request.json",)])
def test_a_folder_that_has_lost_files_is_not_sent_again_while_an_answer_is_there(
    outbox: Outbox, lost: tuple[str, ...]
) -> None:
    outbox.add(request())
    with sending_of(outbox, "0a1b2c3d", lambda: None) as sending:
        sending.answered(ANSWER)
    for name in lost:
        (outbox.folder / "0a1b2c3d" / name).unlink()
    assert outbox.state("0a1b2c3d") is State.ANSWERED and outbox.answer("0a1b2c3d") == ANSWER
    with pytest.raises(NotSendable), sending_of(outbox, "0a1b2c3d", lambda: None):
        pytest.fail("It was paid for already.")


def test_a_folder_that_cannot_be_listed_is_trouble_and_not_unsent(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.add(request())
    with sending_of(outbox, "0a1b2c3d", lambda: None):
        pass

    def stale(_path: object) -> list[str]:
        raise OSError(errno.ESTALE, "Stale file handle")

    for function in ("listdir", "scandir"):
        monkeypatch.setattr(os, function, stale)
    with pytest.raises(OutboxError, match="Stale"):
        outbox.state("0a1b2c3d")


def test_an_answer_that_a_kill_kept_from_its_name_is_found_and_a_part_of_one_is_not(outbox: Outbox) -> None:
    for task_id, cut in (("whole", None), ("cut", -1)):
        outbox.add(request(task_id))
        with sending_of(outbox, task_id, lambda: None) as sending:
            sending.answered(ANSWER)
        folder = outbox.folder / task_id
        content = (folder / "1.answer").read_bytes()[:cut]
        (folder / "1.answer").unlink()
        (folder / "1.answer.part").write_bytes(content if cut else content + bytes(500))
    assert (outbox.state("whole"), outbox.state("cut")) == (State.ANSWERED, State.UNCERTAIN)
    assert outbox.answer("whole") == ANSWER


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n{}", b'{"http_status": 201, "retry_after": null, "size": 90}\n{"uui'])
def test_a_damaged_answer_is_a_sentence_with_its_place(outbox: Outbox, content: bytes) -> None:
    outbox.add(request())
    with sending_of(outbox, "0a1b2c3d", lambda: None) as sending:
        sending.answered(ANSWER)
    (outbox.folder / "0a1b2c3d" / "1.answer").write_bytes(content)
    assert outbox.state("0a1b2c3d") is State.ANSWERED
    with pytest.raises(OutboxError, match=r"1\.answer is damaged"):
        outbox.answer("0a1b2c3d")


def test_a_kill_while_pictures_are_copied_leaves_no_half_submission(outbox: Outbox, tmp_path: Path) -> None:
    pictures = [str(large_file(tmp_path / f"{n}.png", 4_000_000, seed=n)) for n in range(5)]
    script = (
        "from rodin_blender.tasks.generation_request import GenerationRequest; from rodin_blender.tasks import options; import itertools\n"
        "print('ready', flush=True)\n"
        "for n in itertools.count():\n"
        f"    box.add(GenerationRequest(f'task-{{n}}', 'p', tuple(map(Path, {pictures!r})), options.defaults()))\n"
    )
    for pause in (0.02, 0.06, 0.11, 0.17):
        copier = in_other_process(outbox, script)
        assert copier.stdout and copier.stdout.readline() == "ready\n"
        time.sleep(pause)
        copier.kill()
        copier.wait()
        for task_id in outbox.ids():
            request = outbox.read(task_id)
            paths = outbox.picture_paths(task_id, tuple(picture.name for picture in request.pictures))
            assert [path.stat().st_size for path in paths] == [Path(path).stat().st_size for path in pictures]
            forget(outbox, task_id)
        outbox.clean()
