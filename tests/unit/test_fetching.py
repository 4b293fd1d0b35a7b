# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving a task's files: whole ones only, nowhere but in their folder, each fetched once, and gone on with after trouble."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rodin_blender.service.client import _CHUNK as CHUNK
from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import Aborted, BadAnswer, NotAuthorized, Refused, RodinError
from rodin_blender.service.files import Progress, SavedFile
from rodin_blender.service.keys import Secret
from rodin_blender.storage import task_folder
from rodin_blender.storage.task_folder import FolderLocked
from rodin_blender.tracking import fetching
from rodin_blender.tracking.fetching import Download, NotSaved
from tests.unit import disks
from tests.unit.disks import fill
from tests.unit.sockets import Direct, serving
from tools.simulator import API_KEY, FAULTS, Simulator
from tools.testing.disks import glb

small_disk = disks.small_disk
read_only = disks.read_only
refusing = disks.refusing

ROOT = Path(__file__).parents[2]
ATTEMPTS = 4


def kept(received: int) -> int:
    """How many bytes of a broken connection's are in the part."""
    return received // CHUNK * CHUNK


def webp(size: int) -> bytes:
    return struct.pack("<4sI4s", b"RIFF", size - 8, b"WEBP") + b"w" * (size - 12)


MODEL = glb(300_000)
PNG = b"\x89PNG\r\n\x1a\n"
PAINTED = PNG + b"painted over"
REST = f"bytes={kept(150_000)}-"
"""What is asked for after a cut in its middle."""
MODELS = {"base_basic_pbr.glb": MODEL, "base_basic_shaded.glb": glb(1000), "preview.webp": b"\xff\xd8\xff"}
FILES = {"base_basic_pbr.glb": MODEL, "texture_diffuse.png": PNG, "preview.webp": webp(40)}


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "RETRY_DELAYS", (0.0,) * (ATTEMPTS - 1))
    monkeypatch.setattr(fetching, "POLL_INTERVAL", 0.02)


def everything_in(folder: Path) -> dict[str, bytes]:
    """Hidden files too."""
    while True:
        # A folder that goes while it is looked through raises.
        with suppress(FileNotFoundError):
            return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def visible_in(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in everything_in(folder).items() if not name.startswith(".")}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def unheard(_progress: Progress) -> None:
    pass


def save(client: Client, uuid: str, folder: Path, report: Callable[[Progress], None] = unheard) -> list[SavedFile]:
    download = Download(client, uuid, folder, report)
    download.run()
    return download.saved


def fails(client: Client, uuid: str, folder: Path, kind: type[RodinError] = NotSaved) -> str:
    """What the user reads of a download that comes to nothing."""
    with pytest.raises(kind) as caught:
        save(client, uuid, folder)
    assert type(caught.value) is kind
    text = str(caught.value)
    assert text.isprintable() and text.endswith(".") and API_KEY not in text and "signature" not in text
    return text


def ranges(simulator: Simulator) -> list[str]:
    """Which bytes were asked for, "" for all, file by file."""
    return [asked.range for asked in simulator.asked("files")]


def test_all_files_are_saved_in_the_services_order_into_a_folder_that_is_made(simulator, client, tmp_path):
    heard: list[Progress] = []
    folder = tmp_path / "a" / "vase 1"
    saved = save(client, simulator.add(files=FILES)["uuid"], folder, heard.append)
    assert saved == [SavedFile(name, len(content), sha256(content)) for name, content in FILES.items()]
    assert everything_in(tmp_path) == {f"a/vase 1/{name}": content for name, content in FILES.items()}
    assert [(p.number, p.name, p.count) for p in heard] == [(n, name, 3) for n, name in enumerate(FILES, 1)]
    assert [p.size for p in heard] == [len(content) for content in FILES.values()]


def test_a_file_that_is_there_is_kept_and_not_asked_for(simulator, client, tmp_path):
    (tmp_path / "texture_diffuse.png").write_bytes(PAINTED)
    uuid = simulator.add(files=FILES)["uuid"]
    for _ in range(2):
        assert [file.name for file in save(client, uuid, tmp_path)] == list(FILES)
        assert everything_in(tmp_path) == {**FILES, "texture_diffuse.png": PAINTED}
    assert len(simulator.asked("files")) == 2


def test_the_simulators_own_results_arrive_as_they_are(simulator, client, tmp_path):
    saved = save(client, simulator.add()["uuid"], tmp_path)
    assert [file.name for file in saved] == [
        "base_basic_pbr.glb",
        "base_basic_shaded.glb",
        "texture_diffuse.png",
        "preview.webp",
    ]
    assert (tmp_path / saved[0].name).read_bytes().startswith(b"glTF")


def test_how_far_it_is_is_told_with_a_speed(simulator, client, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "REPORT_EVERY", 0.05)
    simulator.rate = 400_000
    heard: list[Progress] = []
    save(client, simulator.add(files={"m.glb": MODEL})["uuid"], tmp_path, heard.append)
    received = [p.received for p in heard]
    assert received == sorted(received) and len(received) > 4 and received[0] == 0
    assert {(p.name, p.number, p.count, p.size, p.waiting) for p in heard} == {("m.glb", 1, 1, 300_000, None)}
    assert 100_000 < heard[-1].speed < 900_000


def test_foreign_names_stay_in_the_folder_and_do_not_overwrite_each_other(simulator, client, tmp_path):
    folder = tmp_path / "folder"
    names = ["../up.bin", "..", "", "/etc/passwd", "C:\\Windows\\evil.dll", "..\\..\\up.bin", "nul.bin", "a.bin", "A.BIN"]
    names += ["a.bin.part", ".a.bin.part", ".lock", "语" * 200 + ".bin", "n" * 5000, "new\nline\0.bin", "\ud800.bin"]
    names += ["d/../../../../up.bin", "d/" * 30 + "deep.bin", "a.bin/b.bin", ".lock/c.bin", "nul/" + "n" * 5000 + ".bin"]
    files = {name: str(number).encode() for number, name in enumerate(names)}
    saved = save(client, simulator.add(files=files)["uuid"], folder)
    assert [(folder / file.name).read_bytes() for file in saved] == list(files.values())
    assert len(everything_in(tmp_path)) == len(everything_in(folder)) == len(names)


def test_two_files_of_one_name_are_both_saved_and_again_found(simulator, client, tmp_path):
    twice = [("m.glb", glb(100)), ("m.glb", glb(200)), ("M.glb", glb(300))]
    uuid = simulator.add(files=twice)["uuid"]
    for _ in range(2):
        saved = save(client, uuid, tmp_path)
        assert [(file.name, file.size) for file in saved] == [("m.glb", 100), ("m-2.glb", 200), ("M-3.glb", 300)]
    assert everything_in(tmp_path) == {"m.glb": glb(100), "m-2.glb": glb(200), "M-3.glb": glb(300)}
    assert len(simulator.asked("files")) == 3


# What goes wrong leaves nothing half-done.

NOT_THE_FILE = {"api-error", "bytes", "deep", "empty", "html", "huge", "huge-chunked", "job-without-status"}
NOT_THE_FILE |= {"jobs-missing", "jobs-not-list", "list", "no-jobs", "no-such-task", "not-json"}
NOT_THE_FILE |= {"permission-denied", "user-not-found", "group-not-found"}
"""Answers with HTTP 200 that come to their end, and are no model and no picture."""
REFUSED_LINKS = {"401", "401-bare", "401-html", "403", "403-html", "403-json", "permission-denied-403", "redirect"}
LASTING = {"404"}
PASSING = FAULTS.keys() - REFUSED_LINKS - LASTING - {"drip"}


@pytest.fixture
def hasty(simulator: Simulator) -> Client:
    return Client(Connection(simulator.url, Secret(API_KEY), 1.0, 1.0))


@pytest.mark.parametrize("fault", sorted(NOT_THE_FILE))
def test_an_answer_that_is_no_file_of_its_kind_is_not_taken_for_it(simulator, hasty, tmp_path, fault):
    simulator.fail("files", fault + "!")
    text = fails(hasty, simulator.add(files={"m.glb": MODEL, "t.png": PNG})["uuid"], tmp_path)
    wrong = r"It (is empty|is a web page|does not begin as a \.glb file does)\."
    assert re.fullmatch(rf"'m\.glb' did not arrive: {wrong} 1 more did not either\. 0 of 2 files .+", text)
    assert everything_in(tmp_path) == {}, "there is nothing to go on with"


@pytest.mark.parametrize("fault", sorted(PASSING))
def test_trouble_that_passes_is_waited_out_and_lasting_one_told_then_gone_on_with(simulator, hasty, tmp_path, fault):
    uuid = simulator.add(files=MODELS)["uuid"]
    heard: list[Progress] = []
    simulator.fail("files", "", fault, "", "")
    save(hasty, uuid, tmp_path / "once", heard.append)
    assert everything_in(tmp_path / "once") == MODELS
    waited = [p for p in heard if p.waiting]
    assert [(p.name, p.number) for p in waited] == [("base_basic_shaded.glb", 2)]
    assert re.fullmatch(r"[A-Z].+\. Trying again in 0 s", str(waited[0].waiting))

    simulator.fail("files", "", *[fault] * ATTEMPTS)
    text = fails(hasty, uuid, tmp_path / "for ever")
    assert re.fullmatch(
        r"'base_basic_shaded\.glb' did not arrive: [A-Z].+\. 2 of 3 files are there\. Download it again\.", text
    )
    there = {name: content for name, content in MODELS.items() if name != "base_basic_shaded.glb"}
    assert visible_in(tmp_path / "for ever") == there, "those after it are fetched all the same"
    assert len(simulator.asked("files")) == 4 + 1 + ATTEMPTS + 1
    save(hasty, uuid, tmp_path / "for ever")
    assert everything_in(tmp_path / "for ever") == MODELS
    assert len(simulator.asked("files")) == 4 + 1 + ATTEMPTS + 1 + 1


def test_a_model_that_is_not_there_is_told_at_once_and_all_others_are_fetched(simulator, client, tmp_path):
    simulator.fail("files", "", "404", "", "404")
    uuid = simulator.add(files=MODELS)["uuid"]
    for count in (3, 4):
        text = fails(client, uuid, tmp_path)
        assert text == (
            "'base_basic_shaded.glb' did not arrive: The file server does not hand out 'base_basic_shaded.glb' "
            "(HTTP 404). 2 of 3 files are there. Download it again."
        )
        assert sorted(everything_in(tmp_path)) == ["base_basic_pbr.glb", "preview.webp"]
        assert len(simulator.asked("files")) == count
    assert len(simulator.asked("download")) == 2
    save(client, uuid, tmp_path)
    assert everything_in(tmp_path) == MODELS


@pytest.mark.parametrize("fault", ["404", "500", "reset", "html", "403"])
def test_a_sidecar_that_does_not_arrive_fails_no_model_and_the_next_download_has_it(simulator, client, tmp_path, fault):
    simulator.fail("files", fault, *[fault] * (ATTEMPTS - 1 if fault not in ("404", "403") else fault == "403"))
    files = {"preview.webp": webp(40), "m.glb": MODEL, "texture.png": PNG}
    uuid = simulator.add(files=files)["uuid"]
    download = Download(client, uuid, tmp_path, unheard)
    download.run()
    assert [file.name for file in download.saved] == ["m.glb", "texture.png"]
    assert list(download.missing) == ["preview.webp"] and re.fullmatch(r"[A-Z].+\.", str(download.missing["preview.webp"]))
    assert visible_in(tmp_path) == {"m.glb": MODEL, "texture.png": PNG}
    download.run()
    assert download.missing == {} and everything_in(tmp_path) == files


def test_where_nothing_arrives_it_is_told_though_it_was_sidecars_only(simulator, client, tmp_path):
    simulator.fail("files", "404!")
    text = fails(client, simulator.add(files={"a.png": PNG, "b.png": PNG})["uuid"], tmp_path)
    assert text.startswith("'a.png' did not arrive") and "1 more did not either. 0 of 2 files are there" in text


def test_what_does_not_answer_for_one_file_is_asked_once_only_for_each_other(simulator, hasty, tmp_path):
    simulator.fail("files", "hang!")
    fails(hasty, simulator.add(files={f"{n}.glb": MODEL for n in range(4)})["uuid"], tmp_path)
    assert len(simulator.asked("files")) == ATTEMPTS + 3


# What is there and not whole.


@pytest.mark.parametrize("there", [b"", b"<html><body>Blocked</body></html>", MODEL[:-1], b'{"error": "NO_SUCH_TASK"}'])
@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_there_and_not_whole_is_fetched_again(simulator, client, tmp_path, there, known):
    uuid = simulator.add(files={"m.glb": MODEL, "preview.webp": webp(40)})["uuid"]
    before = save(client, uuid, tmp_path)
    (tmp_path / "m.glb").write_bytes(there)
    download = Download(client, uuid, tmp_path, unheard, known=before if known else ())
    download.run()
    assert download.saved == before
    assert everything_in(tmp_path) == {"m.glb": MODEL, "preview.webp": webp(40)}
    assert len(simulator.asked("files")) == 3


def test_what_lost_its_end_is_fetched_again_but_kept_beside_since_it_may_be_the_users(simulator, client, tmp_path):
    model = b"o vase\nv 0 0 0\nv 0 0 1\n"
    uuid = simulator.add(files={"m.obj": model, "t.png": PNG + bytes(100)})["uuid"]
    before = save(client, uuid, tmp_path)
    (tmp_path / "m.obj").write_bytes(model[:10])
    (tmp_path / "t.png").write_bytes(PAINTED + bytes(200))
    ((name, why),) = task_folder.troubles(str(tmp_path), before).items()
    assert (name, str(why)) == ("m.obj", "It is incomplete: 10 of the 23 bytes that were saved.")
    for number in range(2):
        download = Download(client, uuid, tmp_path, unheard, known=before)
        download.run()
        assert everything_in(tmp_path) == {
            "m.obj": model,
            "m-before.obj": model[:10],
            "t.png": PAINTED + bytes(200),
            **({"m-before-2.obj": b"o v"} if number else {}),
        }
        (tmp_path / "m.obj").write_bytes(b"o v")


def test_again_fetches_all_anew_and_replaces_it_when_it_is_whole(simulator, client, tmp_path):
    uuid = simulator.add(files=FILES)["uuid"]
    before = save(client, uuid, tmp_path)
    (tmp_path / "texture_diffuse.png").write_bytes(PAINTED)
    simulator.fail("files", "404", "")
    download = Download(client, uuid, tmp_path, unheard, known=before, again=True)
    with pytest.raises(NotSaved):
        download.run()
    assert everything_in(tmp_path) == FILES, "what did not arrive is as it was"
    download.run()
    assert everything_in(tmp_path) == FILES and download.saved == before
    assert len(simulator.asked("files")) == 9


# Names with folders in them.

OBJ = {
    "pbr/base.obj": b"mtllib base.mtl\nv 0 0 0\n",
    "pbr/base.mtl": b"newmtl a\nmap_Kd textures/diffuse.png\n",
    "pbr/textures/diffuse.png": PNG,
    "shaded/base.mtl": b"newmtl b\n",
    "preview.webp": webp(40),
}


def test_folders_in_names_are_kept_so_that_a_material_is_found_and_are_removed_with_their_files(
    simulator, client, tmp_path
):
    simulator.fail("files", "", "", "cut-in-the-middle")
    uuid = simulator.add(files=OBJ)["uuid"]
    folder = tmp_path / "vase"
    saved = save(client, uuid, folder)
    assert everything_in(folder) == OBJ and [file.name for file in saved] == list(OBJ)
    (folder / "pbr/textures/diffuse.png").unlink()
    (folder / "shaded/own.blend").write_bytes(b"mine")
    save(client, uuid, folder)
    assert everything_in(folder) == {**OBJ, "shaded/own.blend": b"mine"}
    assert len(simulator.asked("files")) == 7
    freed, left = task_folder.remove(folder, [file.name for file in saved])
    assert (freed, left) == (sum(map(len, OBJ.values())), {})
    assert everything_in(folder) == {"shaded/own.blend": b"mine"} and not (folder / "pbr").exists()


# Links that end.


@pytest.mark.parametrize("fault", sorted(REFUSED_LINKS))
def test_a_refused_link_is_replaced_by_a_fresh_one_once(simulator, client, tmp_path, fault):
    uuid = simulator.add(files=MODELS)["uuid"]
    simulator.fail("files", "", fault, "", "")
    save(client, uuid, tmp_path / "once")
    assert everything_in(tmp_path / "once") == MODELS
    assert len(simulator.asked("download")) == 2

    simulator.fail("files", "", fault, fault)
    text = fails(client, uuid, tmp_path / "twice")
    assert "'base_basic_shaded.glb'" in text and "refuses the link" in text and "2 of 3 files are there" in text
    assert len(simulator.asked("download")) == 4, "asked for exactly once more"
    assert sorted(everything_in(tmp_path / "twice")) == ["base_basic_pbr.glb", "preview.webp"]
    save(client, uuid, tmp_path / "twice")
    assert everything_in(tmp_path / "twice") == MODELS


def test_links_that_end_in_the_middle_of_a_download_are_replaced_and_it_goes_on_where_it_stopped(
    simulator, client, tmp_path, monkeypatch
):
    simulator.link_life, simulator.rate = 0.3, 500_000
    monkeypatch.setattr(fetching, "RETRY_DELAYS", (0.4,))
    files = {"a.glb": glb(200_000), "b.glb": glb(300_000, b"b")}
    # The second file's link has ended when the first is there; its fresh one ends after the cut.
    simulator.fail("files", "", "", "cut-in-the-middle")
    save(client, simulator.add(files=files)["uuid"], tmp_path)
    assert everything_in(tmp_path) == files
    assert ranges(simulator) == ["", "", "", REST, REST]
    assert len(simulator.asked("download")) == 3


def test_a_fresh_list_that_cannot_be_had_is_waited_for(simulator, client, tmp_path):
    simulator.fail("files", "403")
    simulator.fail("download", "", "502-html", "reset")
    save(client, simulator.add(files=FILES)["uuid"], tmp_path)
    assert everything_in(tmp_path) == FILES
    assert len(simulator.asked("download")) == 4


def test_a_fresh_list_with_other_files_is_told(simulator, client, tmp_path):
    task = simulator.add(files={"a.glb": glb(100), "b.glb": glb(200)})
    other = simulator.add(files={"b.glb": glb(200)})
    links = client.download_list
    client.download_list = lambda uuid: links(uuid if not simulator.asked("files") else other["uuid"])
    simulator.fail("files", "403")
    assert fails(client, task["uuid"], tmp_path) == (
        "'a.glb': the service's list of files has changed meanwhile. Download it again."
    )
    assert everything_in(tmp_path) == {}


# The list.


@pytest.mark.parametrize("fault", ["jobs-missing", "no-jobs"])
def test_an_empty_list_is_told_and_no_folder_made(simulator, client, tmp_path, fault):
    if fault == "jobs-missing":
        simulator.fail("download", fault)
    text = fails(client, simulator.add(files={})["uuid"], tmp_path / "folder")
    assert text == "The service lists no files for this task yet; it may take a minute. Download it again."
    assert not (tmp_path / "folder").exists()


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("user-not-found", NotAuthorized),
        ("permission-denied", Refused),
        ("no-such-task", Refused),
        ("403-html", BadAnswer),
    ],
)
def test_without_a_list_no_folder_is_made(simulator, client, tmp_path, fault, kind):
    simulator.fail("download", fault)
    with pytest.raises(kind):
        save(client, simulator.add()["uuid"], tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_a_list_without_a_model_is_saved_all_the_same(simulator, client, tmp_path):
    files = {"texture.png": PNG, "preview.webp": webp(100)}
    assert len(save(client, simulator.add(files=files)["uuid"], tmp_path)) == 2
    assert everything_in(tmp_path) == files


# Connections that are cut.


def test_a_file_that_was_cut_goes_on_where_it_stopped(simulator, client, tmp_path):
    simulator.fail("files", "cut-in-the-middle")
    heard: list[Progress] = []
    content = glb(300_001, os.urandom(1)) + os.urandom(1000)
    save(client, simulator.add(files={"m.glb": content})["uuid"], tmp_path, heard.append)
    assert everything_in(tmp_path) == {"m.glb": content}
    half = kept(len(content) // 2)
    assert ranges(simulator) == ["", f"bytes={half}-"]
    assert heard[0].received == 0 and heard[-1].received == half
    assert [str(p.waiting) for p in heard if p.waiting] == [
        "The connection broke off before the whole answer had arrived. Trying again in 0 s"
    ]


def test_a_line_that_is_cut_for_ever_is_told_and_each_press_goes_on(simulator, client, tmp_path):
    simulator.fail("files", "cut-in-the-middle!")
    uuid = simulator.add(files={"m.glb": MODEL})["uuid"]
    text = fails(client, uuid, tmp_path)
    assert text == (
        "'m.glb' did not arrive: The connection broke off before the whole answer had arrived. "
        "0 of 1 files are there. Download it again."
    )
    there = [0]
    for _ in range(ATTEMPTS):
        there.append(there[-1] + kept((len(MODEL) - there[-1]) // 2))
    assert ranges(simulator) == ["", *(f"bytes={start}-" for start in there[1:-1])]
    assert visible_in(tmp_path) == {}
    assert (tmp_path / ".m.glb.part").read_bytes() == MODEL[: there[-1]]
    fails(client, uuid, tmp_path)
    assert len(ranges(simulator)) == 2 * ATTEMPTS and ranges(simulator)[ATTEMPTS] == f"bytes={there[-1]}-"
    simulator._faults.clear()
    save(client, uuid, tmp_path)
    assert everything_in(tmp_path) == {"m.glb": MODEL}


@pytest.mark.parametrize(
    ("faults", "asked"),
    [
        (["cut-without-version"], ["", ""]),
        (["cut-without-version", "cut-in-the-middle"], ["", "", REST]),
        (["cut-in-the-middle", "no-ranges"], ["", REST]),
        (["cut-in-the-middle", "wrong-range"], ["", REST, ""]),
        (["silent-in-the-middle"], ["", REST]),
        (["announces-more"], ["", f"bytes={kept(300_000)}-"]),
        (["announces-less"], ["", ""]),
        (["no-length"], [""]),
        (["no-length-and-cut"], ["", ""]),
        (["cut-in-the-middle", "no-length-and-cut"], ["", REST, ""]),
        (["to-another-host"], ["", ""]),
    ],
)
@pytest.mark.parametrize("name", ["m.glb", "preview.webp"])
def test_whatever_the_file_server_does_the_file_is_whole_in_the_end(simulator, hasty, tmp_path, name, faults, asked):
    content = MODEL if name == "m.glb" else webp(300_000)
    simulator.fail("files", *faults)
    save(hasty, simulator.add(files={name: content})["uuid"], tmp_path)
    assert everything_in(tmp_path) == {name: content}
    assert ranges(simulator) == asked


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("announces-less", "It is incomplete: 150000 of the 300000 bytes that it says it has."),
        ("no-length-and-cut", "It is incomplete: 150000 of the 300000 bytes that it says it has."),
        ("announces-more", "The connection broke off before the whole answer had arrived."),
        ("cut-without-version", "The connection broke off before the whole answer had arrived."),
        ("silent-in-the-middle", "The file server took the request but did not answer in time."),
        ("wrong-range", "The file server hands out only a part of 'm.glb'."),
        ("in-circles", "The file server sends us from one address to the next for 'm.glb'."),
        ("to-http", "The address given for 'm.glb' is not https; it was not asked."),
    ],
)
def test_what_stays_so_is_told_and_never_taken_for_the_file(simulator, hasty, tmp_path, fault, said):
    simulator.fail("files", fault + "!")
    uuid = simulator.add(files={"m.glb": MODEL})["uuid"]
    text = fails(hasty, uuid, tmp_path)
    assert text == f"'m.glb' did not arrive: {said} 0 of 1 files are there. Download it again."
    assert visible_in(tmp_path) == {}
    assert len(simulator.asked("files")) <= 2 * ATTEMPTS
    assert {asked.host for asked in simulator.requests} == {"127.0.0.1"}
    assert not any(asked.authorized for asked in simulator.asked("files"))
    simulator._faults.clear()
    save(hasty, uuid, tmp_path)
    assert everything_in(tmp_path) == {"m.glb": MODEL}


def test_a_file_whose_content_changed_meanwhile_begins_again(simulator, client, tmp_path):
    simulator.fail("files", *["cut-in-the-middle"] * ATTEMPTS)
    task = simulator.add(files={"m.glb": MODEL})
    fails(client, task["uuid"], tmp_path)
    (stored,) = simulator._tasks.values()
    stored.files = [("m.glb", glb(290_000, b"n"))]
    save(client, task["uuid"], tmp_path)
    assert everything_in(tmp_path) == dict(stored.files)


@pytest.mark.parametrize("version", [b"", b"\0" * 40, b"\xff\xfe\xe4", b'"other"', b"x\r\ny: z"])
def test_a_part_of_no_known_version_is_not_gone_on_with(simulator, client, tmp_path, version):
    (tmp_path / ".m.glb.part").write_bytes(b"x" * 1000)
    (tmp_path / ".m.glb.version").write_bytes(version)
    save(client, simulator.add(files={"m.glb": MODEL})["uuid"], tmp_path)
    assert everything_in(tmp_path) == {"m.glb": MODEL}


def test_parts_of_files_that_are_listed_no_more_are_removed(simulator, client, tmp_path):
    for name in (".old.glb.part", ".old.glb.version", ".m.glb.part", ".lock"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "own.part").write_bytes(b"the user's")
    save(client, simulator.add(files={"m.glb": MODEL})["uuid"], tmp_path)
    assert everything_in(tmp_path) == {"m.glb": MODEL, "own.part": b"the user's"}


VERSIONS = [glb(40_000, b"a"), glb(40_000, b"b"), glb(25_000, b"c")]
ANSWERS = ["ranges", "ranges", "dated", "weak", "no-version", "no-ranges", "wrong-start", "short-range", "no-length"]


@given(
    st.lists(
        st.tuples(st.sampled_from([0, 0, 0, 1, 2]), st.sampled_from(ANSWERS), st.integers(0, 40_000) | st.none()),
        max_size=12,
    )
)
@example([(0, "ranges", 20_000), (1, "ranges", 30_000), (0, "ranges", None)])
@example([(0, "ranges", 20_000), (1, "wrong-start", None), (0, "dated", None)])
@example([(0, "no-length", 11), (0, "no-length", 39_999)])
@example([(0, "ranges", 10), (0, "short-range", None)])
@settings(max_examples=150, deadline=None)
def test_whatever_the_sequence_of_cuts_and_changes_a_final_name_is_one_versions_bytes(steps):
    left = list(steps)

    def handle(connection: socket.socket) -> None:
        asked = connection.recv(65536).decode()
        version, answer, cut = left.pop(0) if left else (0, "ranges", None)
        content, name = VERSIONS[version], f'"{version}"'
        date = f"Sun, 06 Nov 1994 08:49:3{version} GMT"
        wanted = re.search(r"Range: bytes=(\d+)-", asked)
        same = re.search(r"If-Range: (.+)\r", asked)
        start = int(wanted[1]) if wanted and same and same[1] in (name, date) and answer != "no-ranges" else 0
        if start >= len(content):
            connection.sendall(b"HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        end = len(content)
        if start and answer == "wrong-start":
            start -= 1
        if start and answer == "short-range":
            end = max(start + 1, end - 5)
        rest = content[start:end]
        if answer == "no-length" and cut is not None:
            cut = max(cut, 4)  # What has not even its kind's name tells nothing.
        head = [f"HTTP/1.1 {'206 Partial Content' if start else '200 OK'}", "Connection: close"]
        head += [f"Content-Range: bytes {start}-{end - 1}/{len(content)}"] if start else []
        head += [f"Content-Length: {len(rest)}"] if answer != "no-length" else []
        head += [f"ETag: {name}"] if answer not in ("dated", "weak", "no-version") else []
        head += [f"ETag: W/{name}"] if answer == "weak" else []
        head += [f"Last-Modified: {date}"] if answer == "dated" else []
        connection.sendall("\r\n".join([*head, "", ""]).encode() + rest[:cut])

    with serving(handle) as address, tempfile.TemporaryDirectory() as folder:
        final = Path(folder) / "m.glb"
        for _ in range(len(steps) + 1):
            try:
                save(Direct(address, "m.glb"), "uuid", Path(folder))
                break
            except NotSaved as error:
                assert "'m.glb' did not arrive: " in str(error)
                assert not final.exists()
        assert final.read_bytes() in VERSIONS
        assert os.listdir(folder) == ["m.glb"]


KILLED = """
import os, sys
from pathlib import Path
from rodin_blender.tracking.fetching import Download
from tests.unit.sockets import Direct
address, folder, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
def count(event, args):
    global left
    if event in ("open", "os.rename", "os.remove") and str(args[0]).startswith(folder):
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(count)
Download(Direct(address, "m.glb"), "uuid", Path(folder), lambda _progress: None).run()
"""


@pytest.mark.parametrize("then", [0, 1])
def test_killed_before_any_access_to_the_disk_it_leaves_no_mixture_and_no_half_file(tmp_path, then):
    """A part of one version is there, another version is on its way when the process dies, then comes either."""
    now, cut = VERSIONS[0], True

    def handle(connection: socket.socket) -> None:
        asked = connection.recv(65536).decode()
        wanted = re.search(r"Range: bytes=(\d+)-", asked)
        start = int(wanted[1]) if wanted and f'If-Range: "{now[-1]}"' in asked else 0
        head = f'HTTP/1.1 200 OK\r\nETag: "{now[-1]}"\r\nContent-Length: {len(now) - start}\r\nConnection: close\r\n'
        if start:
            head = head.replace("200 OK", "206 Some") + f"Content-Range: bytes {start}-{len(now) - 1}/{len(now)}\r\n"
        connection.sendall(f"{head}\r\n".encode() + (now[start:20_000] if cut else now[start:]))

    with serving(handle) as address:
        for accesses in range(30):
            folder = tmp_path / str(accesses)
            now, cut = VERSIONS[0], True
            fails(Direct(address, "m.glb"), "uuid", folder)
            assert len((folder / ".m.glb.part").read_bytes()) > 15_000
            now, cut = VERSIONS[1], False
            killed = subprocess.run([sys.executable, "-c", KILLED, address, folder, str(accesses)], cwd=ROOT, timeout=30)
            assert visible_in(folder) in ({}, {"m.glb": VERSIONS[1]})
            assert killed.returncode in (0, 9)
            now = VERSIONS[then]
            save(Direct(address, "m.glb"), "uuid", folder)
            assert everything_in(folder) in ({"m.glb": now}, {"m.glb": VERSIONS[1]})
            if killed.returncode == 0:
                break
        assert killed.returncode == 0 and accesses > 5


# Ended by the user.


def in_a_thread(download: Download) -> tuple[threading.Thread, list[BaseException]]:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            download.run()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, raised


def wait_until(true: Callable[[], object], seconds: float = 8.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("resumable", [True, False])
def test_an_aborted_download_leaves_a_part_only_where_it_can_be_gone_on_with(simulator, tmp_path, resumable):
    client = Client(Connection(simulator.url, Secret(API_KEY), 2.0, 30.0))
    simulator.fail("files", "silent-in-the-middle" if resumable else "drip")
    uuid = simulator.add(files={"m.glb": MODEL})["uuid"]
    thread, raised = in_a_thread(Download(client, uuid, tmp_path, unheard))
    wait_until(lambda: (tmp_path / ".m.glb.part").exists())
    if resumable:
        # Not in the file's buffer: what counts is what was received.
        wait_until(lambda: (tmp_path / ".m.glb.part").stat().st_size > 100_000)
    begun = time.monotonic()
    client.abort()
    thread.join(5)
    assert time.monotonic() - begun < 1.0
    assert [type(error) for error in raised] == [Aborted]
    assert visible_in(tmp_path) == {}
    assert sorted(everything_in(tmp_path)) == ([".m.glb.part", ".m.glb.version"] if resumable else [])
    save(Client(client.connection), uuid, tmp_path)
    assert everything_in(tmp_path) == {"m.glb": MODEL}
    assert ranges(simulator)[-1].startswith("bytes=") == resumable


def test_a_pause_between_attempts_is_cut_short(simulator, client, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "RETRY_DELAYS", (30.0,))
    simulator.fail("files", "500")
    heard: list[Progress] = []
    uuid = simulator.add(files={"m.glb": MODEL})["uuid"]
    thread, raised = in_a_thread(Download(client, uuid, tmp_path, heard.append))
    wait_until(lambda: heard and heard[-1].waiting)
    assert "Trying again in 30 s" in str(heard[-1].waiting)
    client.abort()
    thread.join(5)
    assert [type(error) for error in raised] == [Aborted]


# Several Blenders.


def test_a_second_download_into_the_folder_waits_says_so_and_fetches_nothing_twice(simulator, client, tmp_path):
    simulator.rate = 500_000
    uuid = simulator.add(files={"a.glb": MODEL, "b.glb": glb(100_000)})["uuid"]
    thread, raised = in_a_thread(Download(client, uuid, tmp_path, unheard))
    wait_until(lambda: (tmp_path / ".lock").exists() and simulator.asked("files"))
    second = Client(client.connection)
    with pytest.raises(FolderLocked, match=r"Another Blender is downloading this task\."):
        Download(second, uuid, tmp_path, unheard, wait=False).run()
    heard: list[Progress] = []
    assert [file.name for file in save(second, uuid, tmp_path, heard.append)] == ["a.glb", "b.glb"]
    thread.join(5)
    assert raised == []
    assert {str(p.waiting) for p in heard} == {"Another Blender is downloading this task; waiting for it"}
    assert ranges(simulator) == ["", ""]
    assert everything_in(tmp_path) == {"a.glb": MODEL, "b.glb": glb(100_000)}


def test_waiting_for_another_blender_is_cut_short(client, simulator, tmp_path):
    uuid = simulator.add(files={"a.glb": MODEL})["uuid"]
    with task_folder.lock_folder(tmp_path):
        thread, raised = in_a_thread(Download(client, uuid, tmp_path, unheard))
        time.sleep(0.3)
        client.abort()
        thread.join(5)
    assert [type(error) for error in raised] == [Aborted]
    assert everything_in(tmp_path) == {}


def test_a_folder_that_goes_while_it_is_waited_for_is_made_anew(client, simulator, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "POLL_INTERVAL", 0.4)
    uuid, folder = simulator.add(files={"a.glb": MODEL})["uuid"], tmp_path / "vase"
    folder.mkdir()
    heard: list[Progress] = []
    with task_folder.lock_folder(folder):
        thread, raised = in_a_thread(Download(client, uuid, folder, heard.append))
        wait_until(lambda: heard)
    folder.rmdir()
    thread.join(5)
    assert raised == []
    assert everything_in(folder) == {"a.glb": MODEL}


HELD = """
import sys, time
from pathlib import Path
from rodin_blender.storage.task_folder import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_the_lock_of_a_killed_blender_holds_nobody_up(simulator, client, tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HELD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    uuid = simulator.add(files={"m.glb": MODEL})["uuid"]
    with pytest.raises(FolderLocked):
        Download(client, uuid, tmp_path, unheard, wait=False).run()
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=10)
    assert (tmp_path / ".lock").exists()
    Download(client, uuid, tmp_path, unheard, wait=False).run()
    assert everything_in(tmp_path) == {"m.glb": MODEL}


IN_AND_OUT = """
import os, sys, time
from pathlib import Path
from rodin_blender.storage.task_folder import FolderLocked, lock_folder
folder, count = Path(sys.argv[1]), 0
print("ready", flush=True); sys.stdin.readline()
end = time.monotonic() + 2.0
while time.monotonic() < end:
    try:
        with lock_folder(folder):
            os.close(os.open(folder / "taken", os.O_CREAT | os.O_EXCL))  # raises where somebody is in too
            os.unlink(folder / "taken")
            count += 1
    except FolderLocked:
        pass
print(count)
"""


def test_no_two_processes_are_ever_in_one_folder(tmp_path):
    command = [sys.executable, "-c", IN_AND_OUT, tmp_path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=20) for process in processes]
    assert [errors for _, errors in ended] == [""] * 3
    assert all(int(count) > 20 for count, _ in ended), ended
    assert os.listdir(tmp_path) == []


# The disk.


def test_a_folder_that_cannot_be_made_is_told_with_its_reason(simulator, client, tmp_path):
    (tmp_path / "taken").write_bytes(b"a file")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "below", tmp_path / ("n" * 300)):
        text = fails(client, simulator.add(files=FILES)["uuid"], folder)
        assert re.fullmatch(
            rf"The folder {re.escape(str(folder))} cannot be written: .+\. "
            r"Allow writing there\. Set another download folder\. Download it again\.",
            text,
        )
    assert everything_in(tmp_path) == {"taken": b"a file"}
    assert simulator.asked("files") == []


def test_a_folder_that_was_deleted_is_made_anew(simulator, client, tmp_path):
    uuid = simulator.add(files=FILES)["uuid"]
    folder = tmp_path / "folder"
    for _ in range(2):
        save(client, uuid, folder)
        assert everything_in(folder) == FILES
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def test_a_read_only_folder_is_told_and_works_once_it_is_writable(simulator, client, read_only):
    folder, make_writable = read_only
    uuid = simulator.add(files=FILES)["uuid"]
    text = fails(client, uuid, folder)
    assert str(folder) in text and os.strerror(errno.EROFS) in text and "Allow writing there" in text
    assert everything_in(folder) == {} and simulator.asked("files") == []
    make_writable()
    save(client, uuid, folder)
    assert everything_in(folder) == FILES


def test_a_full_disk_is_told_and_with_room_it_goes_on_where_it_stopped(simulator, client, small_disk):
    filler = fill(small_disk)
    os.truncate(filler, filler.stat().st_size - 200_000)
    folder = small_disk / "vase"
    uuid = simulator.add(files={"m.glb": MODEL})["uuid"]
    for _ in range(2):
        assert fails(client, uuid, folder) == (
            f"'m.glb' in the folder {folder} cannot be written: No space left on device. "
            "Free some space. Download it again."
        )
        assert visible_in(folder) == {}
    part = (folder / ".m.glb.part").read_bytes()
    assert 100_000 < len(part) < 250_000 and MODEL.startswith(part)
    filler.unlink()
    save(client, uuid, folder)
    assert ranges(simulator)[-1] == f"bytes={len(part)}-"
    assert everything_in(small_disk) == {"vase/m.glb": MODEL}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own file size")
def test_a_file_larger_than_the_disk_takes_is_told(simulator, client, tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        text = fails(client, simulator.add(files=FILES)["uuid"], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "'base_basic_pbr.glb'" in text and os.strerror(errno.EFBIG) in text
    assert visible_in(tmp_path) == {}


def test_a_file_that_the_user_made_meanwhile_is_kept(simulator, client, tmp_path):
    def report(progress: Progress) -> None:
        (tmp_path / "m.glb").write_bytes(glb(13))

    save(client, simulator.add(files={"m.glb": MODEL})["uuid"], tmp_path, report)
    assert everything_in(tmp_path) == {"m.glb": glb(13)}


DOWNLOAD = """
import sys
from pathlib import Path
from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import RodinError
from rodin_blender.service.keys import Secret
from rodin_blender.storage import disk
from rodin_blender.tracking.fetching import Download
disk.RETRY_FOR = 1.0
client = Client(Connection(sys.argv[1], Secret(sys.argv[2])))
try:
    Download(client, sys.argv[3], Path(sys.argv[4]), lambda _progress: None).run()
except RodinError as error:
    print(error)
"""


def refused(simulator: Simulator, uuid: str, folder: Path, environment: dict[str, str]) -> str:
    """What a download that is refused things tells; "" when all is well."""
    command = [sys.executable, "-c", DOWNLOAD, simulator.url, API_KEY, uuid, folder]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=40, check=False)
    assert done.stderr == "" and done.returncode == 0
    return done.stdout.strip()


@pytest.mark.parametrize("refusal", [errno.ENOLCK, errno.EOPNOTSUPP], ids=lambda code: errno.errorcode[code])
def test_on_a_file_system_without_locks_downloads_go_on_and_files_can_be_removed(
    simulator, tmp_path, refusing, refusal
):
    folder = tmp_path / "vase"
    environment = refusing(folder, flock=refusal)
    assert refused(simulator, simulator.add(files=FILES)["uuid"], folder, environment) == ""
    assert everything_in(folder) == FILES


def test_a_rename_that_is_refused_for_a_moment_is_tried_again_and_a_lasting_refusal_told(simulator, tmp_path, refusing):
    folder = tmp_path / "vase"
    uuid = simulator.add(files=FILES)["uuid"]
    assert refused(simulator, uuid, folder, refusing(folder, renames=3)) == ""
    assert everything_in(folder) == FILES
    (folder / "preview.webp").unlink()
    assert refused(simulator, uuid, folder, refusing(folder, renames=10_000)) == (
        f"'preview.webp' in the folder {folder} cannot be written: Permission denied. "
        "Allow writing there. Set another download folder. Download it again."
    )
    asked = len(simulator.asked("files"))
    assert refused(simulator, uuid, folder, refusing(folder)) == "" and everything_in(folder) == FILES
    assert len(simulator.asked("files")) <= asked + 2


def test_a_folder_that_is_there_and_that_nothing_can_be_made_in_is_told_as_what_it_may_be(
    simulator, tmp_path, refusing
):
    folder = tmp_path / "vase"
    folder.mkdir()
    text = refused(simulator, simulator.add(files=FILES)["uuid"], folder, refusing(folder, new=1))
    assert text.startswith(f"The folder {folder} cannot be written: its folder is there, but the system says")
    assert "Controlled folder access" in text and text.endswith("Set another download folder. Download it again.")


LARGE = """
import resource, sys
from pathlib import Path
from rodin_blender.tracking.fetching import Download
from tests.unit.sockets import Direct
client = Direct(sys.argv[1], "small.bin", "large.bin")
client.names = ("small.bin",)
Download(client, "u", Path(sys.argv[2]), lambda _progress: None).run()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
client.names = ("small.bin", "large.bin")
Download(client, "u", Path(sys.argv[2]), lambda _progress: None).run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the unit differs")
def test_a_large_file_takes_no_more_memory_than_a_small_one(tmp_path):
    size, piece = 300_000_000, bytes(1_000_000)

    def handle(connection: socket.socket) -> None:
        length = size if b"/large" in connection.recv(65536) else 1_000_000
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length)
        for _ in range(length // len(piece)):
            connection.sendall(piece)

    with serving(handle) as address:
        command = [sys.executable, "-c", LARGE, address, tmp_path]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=True)
    assert (tmp_path / "large.bin").stat().st_size == size
    assert int(ended.stdout) < 20_000, "kilobytes"
    (tmp_path / "large.bin").unlink()


# Removing.


def test_only_what_is_named_and_unfinished_is_removed(tmp_path):
    folder = tmp_path / "vase"
    folder.mkdir()
    for name in ("m.glb", "t.png", "own.blend", ".m.glb.part", ".m.glb.version", ".hidden"):
        (folder / name).write_bytes(b"12345")
    (folder / ".lock").touch()
    (folder / "dir.glb").mkdir()
    freed, left = task_folder.remove(folder, ["m.glb", "t.png", "gone.png", "dir.glb"])
    assert freed == 10
    assert left == {"dir.glb": os.strerror(errno.EISDIR)}
    assert sorted(everything_in(folder)) == [".hidden", "own.blend"]
    for name in (".hidden", "own.blend"):
        (folder / name).unlink()
    assert task_folder.remove(folder, ["dir.glb"])[1]
    (folder / "dir.glb").rmdir()
    assert task_folder.remove(folder, []) == (0, {})
    assert not folder.exists()
    for gone in (folder, tmp_path / "file" / "below"):
        (tmp_path / "file").write_bytes(b"")
        assert task_folder.remove(gone, ["m.glb"]) == (0, {})
    assert everything_in(tmp_path) == {"file": b""}


def test_nothing_is_removed_from_a_folder_that_another_blender_is_in(tmp_path):
    (tmp_path / ".m.glb.part").write_bytes(b"x")
    (tmp_path / "m.glb").write_bytes(b"x")
    with task_folder.lock_folder(tmp_path):
        with pytest.raises(FolderLocked):
            task_folder.remove(tmp_path, ["m.glb"])
        assert sorted(everything_in(tmp_path)) == [".lock", ".m.glb.part", "m.glb"]
    assert sorted(everything_in(tmp_path)) == [".m.glb.part", "m.glb"]


def test_on_a_full_disk_files_can_be_removed(small_disk):
    folder = small_disk / "vase"
    folder.mkdir()
    (folder / "m.glb").write_bytes(b"x" * 10_000)
    fill(small_disk)
    assert task_folder.remove(folder, ["m.glb"]) == (10_000, {})
    assert not folder.exists()
