# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving a task's files: whole ones only, nowhere but in their folder, and nothing half-done left behind."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rodin_blender.service import results
from rodin_blender.service.answers import ResultFile
from rodin_blender.service.client import Client, Connection
from rodin_blender.service.errors import Aborted, BadAnswer, NotAuthorized, Refused, ServiceError, Unreachable
from rodin_blender.service.keys import Secret
from rodin_blender.service.results import NotSaved
from tools.simulator import API_KEY, FAULTS

FILES = {"base_basic_pbr.glb": b"glTF" + bytes(300_000), "texture_diffuse.png": b"\x89PNG", "preview.webp": b""}


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def unheard(_words: str) -> None:
    pass


def test_all_files_are_saved_in_the_services_order_into_a_folder_that_is_made(simulator, client, tmp_path):
    heard: list[str] = []
    folder = tmp_path / "a" / "vase 1"
    saved = results.save(client, simulator.add(files=FILES)["uuid"], folder, heard.append)
    assert saved == [folder / name for name in FILES]
    assert everything_in(tmp_path) == {f"a/vase 1/{name}": content for name, content in FILES.items()}
    assert heard == [f"Downloading {number} of 3: {name}" for number, name in enumerate(FILES, 1)]


def test_a_file_that_is_there_is_kept_and_not_asked_for(simulator, client, tmp_path):
    (tmp_path / "texture_diffuse.png").write_bytes(b"painted over")
    uuid = simulator.add(files=FILES)["uuid"]
    for _ in range(2):
        assert results.save(client, uuid, tmp_path, unheard) == [tmp_path / name for name in FILES]
        assert everything_in(tmp_path) == {**FILES, "texture_diffuse.png": b"painted over"}
    assert len(simulator.asked("files")) == 2


def test_the_simulators_own_results_arrive_as_they_are(simulator, client, tmp_path):
    saved = results.save(client, simulator.add()["uuid"], tmp_path, unheard)
    assert [path.name for path in saved] == [
        "base_basic_pbr.glb",
        "base_basic_shaded.glb",
        "texture_diffuse.png",
        "preview.webp",
    ]
    assert saved[0].read_bytes().startswith(b"glTF")


HOSTILE = [
    "../up.glb",
    "..",
    "",
    "/etc/passwd",
    "C:\\Windows\\evil.dll",
    "\u200b..\u200b",
    "..\\..\\up.glb",
    "nul.glb",
    "a.glb",
    "A.GLB",
    "a.glb.part",
    ".a.glb.part",
    "语" * 200 + ".glb",
    "n" * 5000,
    "new\nline\0.glb",
    "\ud800.glb",
]


def test_foreign_names_stay_in_the_folder_and_do_not_overwrite_each_other(simulator, client, tmp_path):
    folder = tmp_path / "folder"
    files = {name: str(number).encode() for number, name in enumerate(HOSTILE)}
    saved = results.save(client, simulator.add(files=files)["uuid"], folder, unheard)
    assert [path.parent for path in saved] == [folder] * len(HOSTILE)
    assert [path.read_bytes() for path in saved] == list(files.values())
    assert len(everything_in(tmp_path)) == len(HOSTILE)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("base.glb", "base.glb"),
        ("a/b\\c.glb", "c.glb"),
        ("..", "file"),
        ("...", "file"),
        ("a/", "file"),
        ("\u200b..\u200b", "file"),
        (".hidden", "hidden"),
        ("trailing. ", "trailing"),
        ("a.\u200b", "a"),
        ("what?.glb", "what_.glb"),
        ("x:stream.glb", "x_stream.glb"),
        ("CON", "_CON"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com1 .glb", "_com1.glb"),
        ("lpt³", "_lpt³"),
        ("console.glb", "console.glb"),
        ("e\u0301.glb", "\u00e9.glb"),
        ("taken.GLB", "taken-2.GLB"),
        ("n" * 200 + ".glb", "n" * 97 + ".glb"),
        ("n" * 99 + " " + "n" * 30, "n" * 99),
    ],
)
def test_a_name_is_made_safe_and_otherwise_kept(name, safe):
    assert results.safe_name(name, {"Taken.glb"}) == safe


NASTY = st.text(st.sampled_from("aA. /\\:\0\u200b\u0301é語nulCON-2\ud800ßſ\u2028"), max_size=130)


@given(st.lists(st.text() | NASTY | st.sampled_from(HOSTILE), max_size=6))
@example(["a" * 130, "A" * 130, "a" * 130 + "b"])
@example(["é.glb", "e\u0301.glb"])
@settings(max_examples=300, deadline=None)
def test_any_names_become_different_valid_ones(names):
    taken: set[str] = set()
    for name in names:
        safe = results.safe_name(name, taken)
        assert Path(safe).name == PureWindowsPath(safe).name == safe
        assert safe not in {".", ".."}
        assert not PureWindowsPath(safe).is_reserved()
        assert safe.isprintable()
        assert not safe.startswith(".")
        assert safe == safe.strip(" .")
        assert not set(safe) & set('<>:"/\\|?*')
        assert len(os.fsencode(f".{safe}.part")) <= 255
        same = unicodedata.normalize("NFC", safe.casefold())
        assert same not in {unicodedata.normalize("NFC", other.casefold()) for other in taken}
        taken.add(safe)


# What goes wrong leaves nothing half-done.


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - {"drip"}))
def test_a_file_that_does_not_arrive_leaves_the_earlier_ones_only(simulator, client, tmp_path, fault):
    """Whatever the file server does, a final name stands for an answer with HTTP 200 that came to its end."""
    simulator.fail("files", "", fault)
    uuid = simulator.add(files=FILES)["uuid"]
    whole = {"api-error", "bytes", "deep", "empty", "html", "huge", "huge-chunked", "job-without-status"}
    whole |= {"jobs-missing", "jobs-not-list", "list", "no-jobs", "no-such-task", "not-json"}
    if fault in whole:
        results.save(client, uuid, tmp_path, unheard)
        assert sorted(everything_in(tmp_path)) == sorted(FILES)
        return
    with pytest.raises(ServiceError) as caught:
        results.save(client, uuid, tmp_path, unheard)
    assert type(caught.value) in (BadAnswer, Unreachable)
    assert everything_in(tmp_path) == {"base_basic_pbr.glb": FILES["base_basic_pbr.glb"]}
    results.save(client, uuid, tmp_path, unheard)
    assert everything_in(tmp_path) == FILES


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("401", NotAuthorized), ("no-such-task", Refused), ("jobs-missing", BadAnswer), ("html", BadAnswer)],
)
def test_without_a_list_no_folder_is_made(simulator, client, tmp_path, fault, kind):
    simulator.fail("download", fault)
    with pytest.raises(kind):
        results.save(client, simulator.add()["uuid"], tmp_path / "folder", unheard)
    assert not (tmp_path / "folder").exists()


def test_an_aborted_download_leaves_no_part(simulator, tmp_path):
    client = Client(Connection(simulator.url, Secret(API_KEY), 2.0, 30.0))
    simulator.fail("files", "drip")
    uuid = simulator.add(files=FILES)["uuid"]
    raised: list[BaseException] = []

    def run() -> None:
        try:
            results.save(client, uuid, tmp_path, unheard)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 5
    while not everything_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    client.abort()
    thread.join(5)
    assert [type(error) for error in raised] == [Aborted]
    assert everything_in(tmp_path) == {}


def test_a_part_left_by_a_crash_is_not_taken_for_the_file(simulator, client, tmp_path):
    uuid = simulator.add(files=FILES)["uuid"]
    for name in FILES:
        part = tmp_path / f".{name}.0123abcd.part"
        part.write_bytes(b"old" * 500_000)
        os.utime(part, (0, 0))
    results.save(client, uuid, tmp_path, unheard)
    assert everything_in(tmp_path) == FILES


def test_two_blenders_saving_the_same_file_do_not_write_into_each_others_part(tmp_path):
    class Slow(Client):
        """Another Blender begins and ends the same download while this one is in the middle of the file."""

        def __init__(self, between: Callable[[], object]) -> None:
            self.between = between

        def download_list(self, task_uuid: str) -> tuple[ResultFile, ...]:
            return (ResultFile("m.glb", task_uuid),)

        def fetch(self, file: ResultFile) -> Iterator[bytes]:
            yield b"first"
            self.between()
            yield b"second"

    other = Slow(lambda: None)
    results.save(Slow(lambda: results.save(other, "u", tmp_path, unheard)), "u", tmp_path, unheard)
    assert everything_in(tmp_path) == {"m.glb": b"firstsecond"}


def test_a_folder_that_cannot_be_made_is_told_with_its_reason(simulator, client, tmp_path):
    (tmp_path / "taken").write_bytes(b"a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below", tmp_path / ("n" * 300)):
        with pytest.raises(NotSaved, match=r"cannot be written: .+\.") as caught:
            results.save(client, simulator.add(files=FILES)["uuid"], folder, unheard)
        assert str(folder) in str(caught.value)
    assert everything_in(tmp_path) == {"taken": b"a file"}
    assert simulator.asked("files") == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own file size")
def test_a_full_disk_is_told_and_leaves_no_part(simulator, client, tmp_path):
    import resource
    import signal

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(NotSaved, match=os.strerror(errno.EFBIG)):
            results.save(client, simulator.add(files=FILES)["uuid"], tmp_path, unheard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert everything_in(tmp_path) == {}
