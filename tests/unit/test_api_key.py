# SPDX-License-Identifier: GPL-3.0-or-later
"""The API key in its file, and from a command."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rodin_blender.configuration import Setting, key_source
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Secret
from rodin_blender.storage import api_key, key_command
from tests.unit.disks import fill, small_disk
from tests.unit.shell import Shell, shell
from tools.simulator import API_KEY

__all__ = ["shell", "small_disk"]

KEY = Secret("rk-0123456789-of-the-account")
OTHER = Secret("rk-another-9876543210")
NEVER = "rk-never-to-be-told-5555"


# In a file.


def test_a_key_is_kept_in_a_file_for_the_user_alone_and_replaced_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    assert api_key.read(folder) == Secret("")
    before = os.umask(0)
    try:
        api_key.write(folder, KEY)
    finally:
        os.umask(before)
    assert api_key.read(folder) == KEY
    assert stat.S_IMODE(api_key.path_in(folder).stat().st_mode) == 0o600
    api_key.write(folder, OTHER)
    assert api_key.read(folder) == OTHER
    assert [path.name for path in folder.iterdir()] == ["api_key"], "no half file is left"
    api_key.write(folder, Secret(""))
    api_key.write(folder, Secret(""))
    assert api_key.read(folder) == Secret("") and list(folder.iterdir()) == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"two words", b"x" * 9000, b"a\nb\n", "ключ".encode()])
def test_a_file_that_holds_no_key_is_told_without_its_content(tmp_path: Path, content: bytes) -> None:
    api_key.path_in(tmp_path).write_bytes(content)
    with pytest.raises(BadInput, match="is no API key") as caught:
        api_key.read(tmp_path)
    assert str(tmp_path) in str(caught.value) and "words" not in str(caught.value)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    api_key.path_in(tmp_path).mkdir()
    with pytest.raises(BadInput, match="cannot be read: Is a directory"):
        api_key.read(tmp_path)


def test_on_a_full_disk_the_key_before_stays(small_disk: Path) -> None:
    api_key.write(small_disk, KEY)
    filler = fill(small_disk)
    trouble = str(api_key.Writer().write(1, small_disk, OTHER))
    assert "could not be kept" in trouble and "No space left" in trouble and OTHER.reveal() not in trouble
    assert api_key.read(small_disk) == KEY
    filler.unlink()
    assert sorted(path.name for path in small_disk.iterdir()) == ["api_key"]


def test_a_kill_while_it_is_written_leaves_one_key_or_the_other(tmp_path: Path) -> None:
    api_key.write(tmp_path, KEY)
    program = (
        "import sys, itertools; from pathlib import Path; from rodin_blender.storage import api_key\n"
        "from rodin_blender.service.keys import Secret\n"
        f"for key in itertools.cycle({[KEY.reveal(), OTHER.reveal() * 40]!r}):\n"
        "    api_key.write(Path(sys.argv[1]), Secret(key)); print(flush=True)\n"
    )
    for moment in range(8):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(moment * 0.003)
        process.kill()
        process.wait()
        process.stdout.close()
        assert api_key.read(tmp_path).reveal() in (KEY.reveal(), OTHER.reveal() * 40)


def test_the_last_wish_is_the_one_that_is_kept(tmp_path: Path) -> None:
    writer = api_key.Writer()
    first, second = writer.next_number(), writer.next_number()
    assert writer.write(second, tmp_path, OTHER) is None is writer.write(first, tmp_path, KEY)
    assert api_key.read(tmp_path) == OTHER


def test_a_key_from_elsewhere_is_taken_over_and_replaces_none(tmp_path: Path) -> None:
    assert api_key.migrate(tmp_path, KEY, "Blender 4.2") is None
    assert api_key.migrate(tmp_path, KEY, "Blender 4.2") is None, "once more changes nothing"
    assert api_key.read(tmp_path) == KEY
    aside = api_key.migrate(tmp_path, OTHER, "Blender 4.3")
    assert aside and aside.name == "api_key of Blender 4.3" and aside.read_text() == OTHER.reveal() + "\n"
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert api_key.read(tmp_path) == KEY


# From a command.


def python(program: str) -> str:
    return shlex.join([sys.executable, "-c", program])


@pytest.mark.parametrize(
    "program",
    [
        f"print({KEY.reveal()!r})",
        f"print('  {KEY.reveal()} '); print('user: ada'); print('x' * 300_000)",
        f"import sys; sys.stdout.write({KEY.reveal()!r})",
        f"import sys; sys.stdout.write({KEY.reveal() + chr(13) + chr(10)!r}); sys.stderr.write('{NEVER}' * 50_000)",
    ],
)
def test_the_first_line_of_a_command_is_the_key(program: str) -> None:
    assert key_command.ask(python(program)) == KEY


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (python(f"print('{NEVER}'); raise SystemExit(3)"), "failed (exit code 3)"),
        (python(f"import os; os.write(2, b'{NEVER}'); os.kill(os.getpid(), 9)"), "failed (exit code -9)"),
        (python(f"print('two {NEVER}')"), "is no API key"),
        (python(f"print(); print('{NEVER}')"), "printed no API key"),
        (python("pass"), "printed no API key"),
        (python(f"print('{NEVER}' * 1000)"), "is no API key"),
        (f"/no/such/{NEVER} --get", "cannot be started: No such file or directory"),
        (f"'{NEVER}", "a quotation mark that is not closed"),
        ("   ", "it names no program"),
        (f"/tmp/{NEVER}\0", "cannot be started"),
    ],
)
def test_what_goes_wrong_is_told_without_what_it_printed(command: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        key_command.ask(command)
    text = str(caught.value)
    assert said in text and NEVER not in text and text.endswith(".") and caught.value.__cause__ is None


def test_no_shell_reads_the_command(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        key_command.ask(f"echo a key; touch {tmp_path / 'made'}")
    assert not (tmp_path / "made").exists()


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    began = time.monotonic()
    with pytest.raises(BadInput, match=r"did not end within 0\.5 s"):
        key_command.ask(f"sh -c 'while sleep 0.1; do touch {alive}; done; true'", longest=0.5)
    assert time.monotonic() - began < 5.0
    alive.unlink()
    time.sleep(0.4)
    assert not alive.exists()


def test_a_command_nobody_waits_for_any_more_is_ended() -> None:
    stopped = threading.Event()
    threading.Timer(0.2, stopped.set).start()
    began = time.monotonic()
    with pytest.raises(BadInput):
        key_command.ask("sleep 30", stopped.is_set)
    assert time.monotonic() - began < 5.0


@pytest.fixture
def changing(tmp_path: Path) -> str:
    """A command whose key is out of date at its first call, as that of a vault may be."""
    program = tmp_path / "given" / "changing.py"
    program.parent.mkdir()
    program.write_text(
        "import pathlib, sys\n"
        "calls = pathlib.Path(sys.argv[1])\n"
        "with calls.open('a') as file: file.write('x')\n"
        f"print('out-of-date-0123' if calls.read_text() == 'x' else {API_KEY!r})\n"
    )
    return shlex.join([sys.executable, str(program), str(tmp_path / "given" / "calls")])


def test_a_command_line_asks_the_command_again_after_a_refusal(shell: Shell, tmp_path: Path, changing: str) -> None:
    answer = shell.add("one-job")
    ran = shell.json("wait", shell.keys(answer), RODIN_API_KEY=None, RODIN_API_KEY_COMMAND=changing)
    assert (ran.code, ran.event["status"]) == (0, "DONE"), ran.err
    assert (tmp_path / "given" / "calls").read_text() == "xx"


def test_a_command_line_ends_where_the_key_is_refused_again(shell: Shell, tmp_path: Path) -> None:
    ran = shell.json(
        "wait", shell.keys(shell.add()), RODIN_API_KEY=None, RODIN_API_KEY_COMMAND="echo out-of-date-0123"
    )
    assert ran.code == 2 and "does not accept the API key" in ran.out
    ran = shell.json("balance", RODIN_API_KEY=None, RODIN_API_KEY_COMMAND="sh -c 'echo not-told-77; exit 4'")
    assert ran.code == 2 and ran.event["text"].startswith("The API key command failed (exit code 4).")
    assert "not-told-77" not in ran.out + ran.err


def test_a_command_line_uses_the_key_that_is_kept(shell: Shell) -> None:
    # What the fixture looks for at its end: the key is in this file, and in none but the ones that are for it.
    api_key.write(shell.folder, Secret(API_KEY))
    ran = shell.json("balance", RODIN_API_KEY=None)
    doctor = shell.json("doctor", RODIN_API_KEY=None).event["settings"]
    commanded = shell.json("doctor", RODIN_API_KEY_COMMAND=f"echo {API_KEY}").event["settings"]
    api_key.path_in(shell.folder).write_bytes(b"broken key")
    broken, listed = shell.json("balance", RODIN_API_KEY=None), shell.json("list", RODIN_API_KEY=None)
    api_key.path_in(shell.folder).unlink()
    assert (ran.code, ran.event["balance"]) == (0, 12.5)
    assert doctor["api_key"].items() >= {"value": "set", "source": str(api_key.path_in(shell.folder))}.items()
    assert commanded["api_key_command"].items() >= {"value": "set", "source": "$RODIN_API_KEY_COMMAND"}.items()
    assert broken.code == 2 and "is no API key" in broken.event["text"]
    assert listed.code == 0


def test_what_a_command_leaves_behind_is_not_waited_for() -> None:
    began = time.monotonic()
    assert key_command.ask(f"sh -c 'echo {KEY.reveal()}; sleep 30 & exit 0'") == KEY
    assert time.monotonic() - began < 5.0


# Where it comes from.


def test_in_each_place_a_key_goes_before_a_command() -> None:
    def found(file: dict[str, str], environment: dict[str, str], kept: str = "", command: str = "") -> tuple[bool, str]:
        settings = {name: Setting(value, "/studio.toml") for name, value in file.items()}
        is_command, setting = key_source(
            settings, Setting(kept, "kept", False), Setting(command, "own", False), environment
        )
        return is_command, f"{setting.value} {setting.source}".strip()

    everything = {"api_key": "f", "api_key_command": "fc"}, {"RODIN_API_KEY_COMMAND": "ec", "HYPER3D_API_KEY": "e"}
    assert found(*everything, "k", "kc") == (False, "e $HYPER3D_API_KEY")
    assert found(everything[0], {"RODIN_API_KEY_COMMAND": "ec"}, "k", "kc") == (True, "ec $RODIN_API_KEY_COMMAND")
    assert found(everything[0], {}, "k", "kc") == (False, "f /studio.toml")
    assert found({"api_key_command": "fc"}, {}, "k", "kc") == (True, "fc /studio.toml")
    assert found({}, {}, "k", "kc") == (False, "k kept")
    assert found({}, {}, "", "kc") == (True, "kc own")
    assert found({}, {}) == (False, "kept")
