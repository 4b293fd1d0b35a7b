# SPDX-License-Identifier: GPL-3.0-or-later
"""The paid call on real sockets: what arrives, what surely has not left, and what the service may have."""

from __future__ import annotations

import hashlib
import io
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from rodin_blender.service import answers
from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import Aborted, BadAnswer, NotSent, ServiceError, Unreachable
from rodin_blender.service.keys import Secret
from rodin_blender.service.multipart import Multipart
from rodin_blender.tasks.refusals import of_submission
from rodin_blender.tasks.submission import accepted, fields, submission
from tests.unit.pictures import jpeg, png, webp
from tests.unit.sockets import closed_port, hanging, serving
from tools.simulator import API_KEY, Simulator

FIELDS = fields(submission("a vase", 0, {}))
ROOT = Path(__file__).parents[2]


@pytest.fixture
def service() -> Iterator[Simulator]:
    with Simulator(speed=10) as running:
        running.result_files = {"base.glb": b"glTF"}
        yield running


def client_of(address: str, *, key: str = API_KEY) -> Client:
    return Client(Connection(address, Secret(key), 1.0, 1.0))


def kept(folder: Path, *contents: bytes) -> list[tuple[str, Path, str]]:
    pictures = []
    for number, content in enumerate(contents, 1):
        path = folder / f"{number}.png"
        path.write_bytes(content)
        pictures.append((path.name, path, "image/png"))
    return pictures


def outcome(client: Client, **given: Any) -> Any:
    """What a submission comes to: what was accepted, or the error."""
    try:
        answer = client.submit("/rodin", FIELDS, **{"timeout": 1.0, **given})
        return accepted(answers.read(answer.http_status, answer.body, answer.retry_after))
    except ServiceError as error:
        return error


# What arrives.


def test_a_sentence_is_generated(service: Simulator) -> None:
    answer = client_of(service.url).submit("/rodin", FIELDS)
    promised = accepted(answers.read(answer.http_status, answer.body))
    assert promised.credits == 0.5
    (sent,) = service.submissions
    assert (sent.fields, sent.pictures, sent.task_uuid) == (FIELDS, [], promised.task_uuid)
    assert client_of(service.url).status(promised.subscription_key)


def test_pictures_arrive_whole_and_in_their_order(service: Simulator, tmp_path: Path) -> None:
    contents = [png(512, 512, size) for size in (0, 100_000, 1_000_001, 65_536, 65_537)]
    told: list[tuple[int, int]] = []
    client_of(service.url).submit("/rodin", FIELDS, kept(tmp_path, *contents), lambda sent, total: told.append((sent, total)))
    (sent,) = service.submissions
    assert [picture["sha256"] for picture in sent.pictures] == [hashlib.sha256(c).hexdigest() for c in contents]
    assert [picture["name"] for picture in sent.pictures] == ["1.png", "2.png", "3.png", "4.png", "5.png"]
    assert told[-1] == (told[0][1], told[0][1])
    assert told == sorted(told)
    assert told[0][1] > sum(map(len, contents))


def test_each_kind_of_picture_from_whatever_opens(service: Simulator) -> None:
    pictures = [
        ("a.png", lambda: io.BytesIO(png(512, 512)), "image/png"),
        ("b.jpg", lambda: io.BytesIO(jpeg()), "image/jpeg"),
        ("c.webp", lambda: io.BytesIO(webp()), "image/webp"),
    ]
    assert outcome(client_of(service.url), pictures=pictures).task_uuid
    assert [picture["kind"] for picture in service.submissions[0].pictures] == [kind for _, _, kind in pictures]


@pytest.mark.parametrize("prompt", ["花瓶 🏺", 'a "vase"\r\n--boundary\r\n', "100 %0D", "é" * 1024])
def test_a_prompt_arrives_as_it_was_typed(service: Simulator, prompt: str) -> None:
    client_of(service.url).submit("/rodin", [("prompt", prompt), *FIELDS[1:]])
    assert [sent.prompt for sent in service.submissions] == [prompt]


@pytest.mark.parametrize("name", ['va"se.png', "va\r\nse.png", "花瓶.png", "caf\udce9.png", "x" * 300])
def test_a_strange_name_breaks_no_form(service: Simulator, name: str) -> None:
    assert outcome(client_of(service.url), pictures=[(name, lambda: io.BytesIO(png()), "image/png")]).task_uuid
    assert len(service.submissions[0].pictures) == 1
    assert service.submissions[0].fields == FIELDS


def test_it_says_how_long_it_is(tmp_path: Path) -> None:
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(connection.recv(65_536).partition(b"\r\n\r\n")[0].decode().lower())

    with serving(handle) as address:
        assert of_submission(outcome(client_of(address), pictures=kept(tmp_path, png()))) is None
    assert "content-length: " in heads[0]
    assert "transfer-encoding" not in heads[0]
    assert f"authorization: bearer {API_KEY}" in heads[0]
    assert len(heads) == 1


# What surely has not left: it may be sent again.


def not_sent(client: Client, cause: str, **given: Any) -> None:
    error = outcome(client, **given)
    assert isinstance(error, NotSent), repr(error)
    assert (error.cause, API_KEY in str(error)) == (cause, False)
    assert of_submission(error) is not None


def test_refused_connections_are_not_sent() -> None:
    not_sent(client_of(f"http://127.0.0.1:{closed_port()}"), "refused")


def test_a_host_without_a_name_is_not_sent() -> None:
    not_sent(client_of("https://rodin.invalid"), "dns")


def test_a_connection_that_does_not_come_about_is_not_sent() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        # The queue of those that nobody accepts is full, so that the next ones are not answered.
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        time.sleep(0.1)
        not_sent(client_of(f"http://127.0.0.1:{port}"), "timeout")
        for one in waiting:
            one.close()


def test_a_certificate_that_is_not_trusted_is_not_sent() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    arrived: list[bytes] = []
    with serving(lambda connection: arrived.append(connection.recv(1)), tls=context) as address:
        not_sent(client_of(address), "tls")
    assert arrived == []


def test_a_handshake_that_ends_or_hangs_is_not_sent() -> None:
    with serving(lambda connection: connection.recv(65_536) and None) as address:
        error = outcome(client_of(address.replace("http:", "https:")))
        assert isinstance(error, NotSent) and error.cause in ("tls", "reset"), error
    with serving(hanging()) as address:
        not_sent(client_of(address.replace("http:", "https:")), "timeout")


def test_a_proxy_that_refuses_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")

    with serving(handle) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        not_sent(client_of("https://rodin.invalid"), "proxy")
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    not_sent(client_of("https://rodin.invalid"), "proxy")


def test_aborted_before_and_while_connecting_is_not_sent(service: Simulator) -> None:
    client = client_of(service.url)
    client.abort()
    not_sent(client, "aborted")
    with serving(hanging()) as address:
        client = Client(Connection(address.replace("http:", "https:"), Secret(API_KEY), 20.0, 20.0))
        threading.Timer(0.3, client.abort).start()
        begun = time.monotonic()
        not_sent(client, "aborted")
        assert time.monotonic() - begun < 10
    assert service.requests == []


def test_who_asks_right_before_the_first_byte_can_keep_it(service: Simulator) -> None:
    def no() -> None:
        raise NotSent("aborted", "Not now.")

    not_sent(client_of(service.url), "aborted", begin=no)
    time.sleep(0.1)
    assert service.requests == []
    asked: list[int] = []
    assert outcome(client_of(service.url), begin=lambda: asked.append(len(service.requests))).task_uuid
    assert asked == [0]


def test_a_picture_that_is_gone_is_not_sent(service: Simulator, tmp_path: Path) -> None:
    pictures = kept(tmp_path, png(), png())
    pictures[1][1].unlink()
    not_sent(client_of(service.url), "picture", pictures=pictures)
    assert service.requests == []


# What the service may have: it is not sent again.


def uncertain(client: Client, **given: Any) -> ServiceError:
    error = outcome(client, **given)
    assert isinstance(error, ServiceError), error
    assert not isinstance(error, NotSent), repr(error)
    assert of_submission(error) is None
    assert API_KEY not in str(error)
    return error


def test_closed_at_once_is_uncertain() -> None:
    accepted_connections: list[int] = []

    def handle(connection: socket.socket) -> None:
        accepted_connections.append(1)

    with serving(handle) as address:
        assert isinstance(uncertain(client_of(address)), Unreachable)
        time.sleep(0.2)
    assert accepted_connections == [1]


@pytest.mark.parametrize(
    ("fault", "taken", "kind"),
    [
        ("closed-before-upload", False, Unreachable),
        ("closed-in-upload", False, Unreachable),
        ("closed-after-upload", False, Unreachable),
        ("hung-after-upload", False, Unreachable),
        ("taken-and-closed", True, Unreachable),
        ("taken-and-reset", True, Unreachable),
        ("taken-and-hung", True, Unreachable),
        ("taken-and-html", True, BadAnswer),
        ("taken-and-502", True, BadAnswer),
        ("answer-cut", True, BadAnswer),
        ("answer-without-key", True, BadAnswer),
        ("answer-without-uuid", True, BadAnswer),
        ("html", False, BadAnswer),
        ("500", False, BadAnswer),
        ("503-json", False, BadAnswer),
        ("empty", False, BadAnswer),
        ("garbage", False, Unreachable),
        ("huge", False, BadAnswer),
        ("huge-chunked", False, BadAnswer),
        ("drip", False, BadAnswer),
        ("deep", False, BadAnswer),
    ],
)
def test_after_the_first_byte_it_is_uncertain(
    service: Simulator, tmp_path: Path, fault: str, taken: bool, kind: type[ServiceError]
) -> None:
    service.fail("rodin", fault)
    assert isinstance(uncertain(client_of(service.url), pictures=kept(tmp_path, png(512, 512, 8_000_000))), kind)
    time.sleep(0.1)
    # It came once, and nothing came after it.
    assert len(service.asked("rodin")) == 1
    assert len(service.submissions) == taken


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("429", "throttled"),
        ("429-seconds", "throttled"),
        ("401", "bad_key"),
        ("401-html", "http_401"),
        ("403", "http_403"),
        ("403-json", "bad_key"),
        ("permission-denied", "permission_denied"),
        ("user-not-found", "user_not_found"),
        ("404", "http_404"),
        ("413-before-upload", "http_413"),
        ("redirect", "http_302"),
        ("refused-parallelism-limit-reached", "parallelism_limit_reached"),
        ("refused-insufficient-fund", "insufficient_fund"),
    ],
)
def test_an_answer_that_says_no_is_a_refusal(service: Simulator, tmp_path: Path, fault: str, code: str) -> None:
    service.fail("rodin", fault)
    error = outcome(client_of(service.url), pictures=kept(tmp_path, png(512, 512, 8_000_000)))
    assert isinstance(error, ServiceError)
    found = of_submission(error)
    assert found is not None
    assert found.trouble.code == code
    assert [request.path for request in service.requests] == ["rodin"]
    assert service.submissions == []


def test_the_time_to_wait_comes_with_the_answer(service: Simulator) -> None:
    service.fail("rodin", "429-seconds")
    assert client_of(service.url).submit("/rodin", FIELDS).retry_after == "3"


def test_a_cut_answer_is_returned_as_far_as_it_came(service: Simulator) -> None:
    service.fail("rodin", "answer-cut")
    answer = client_of(service.url).submit("/rodin", FIELDS)
    assert answer.http_status == 201
    assert answer.body.startswith(b'{"error": null')


def test_aborted_while_it_is_sent_or_waited_for_is_uncertain(service: Simulator, tmp_path: Path) -> None:
    for fault, size in (("slow", 16_000_000), ("hung-after-upload", 0)):
        service.fail("rodin", fault)
        client, pictures = client_of(service.url), kept(tmp_path, png(512, 512, size))
        threading.Timer(0.5, client.abort).start()
        begun = time.monotonic()
        assert isinstance(uncertain(client, pictures=pictures, timeout=30.0), Aborted)
        assert time.monotonic() - begun < 10
    assert service.submissions == []


def test_a_picture_that_becomes_shorter_is_uncertain_and_not_accepted(service: Simulator) -> None:
    class Shrinking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(size) if self.tell() < 1_000_000 else b""

    content = png(512, 512, 2_000_000)
    told = uncertain(client_of(service.url), pictures=[("1.png", lambda: Shrinking(content), "image/png")])
    assert "could not be read to its end" in str(told)
    assert service.submissions == []


# Slow lines and large pictures.


def slow_server(
    rate: float, received: list[int], *, rests: float = 0.0, end: int = 10**9
) -> Callable[[socket.socket], None]:
    """Takes so many bytes a second, after a rest, and answers when the whole form is there; nothing more after `end`."""

    def handle(connection: socket.socket) -> None:
        head, _, rest = connection.recv(4096).partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        received.append(len(rest))
        time.sleep(rests)
        begun = time.monotonic()
        while received[0] < min(length, end):
            received[0] += len(connection.recv(8192))
            time.sleep(max(begun + received[0] / rate - time.monotonic(), 0.0))
        if received[0] < length:
            time.sleep(5)
            return
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

    return handle


WINDOW = 32_768


def test_a_line_slow_as_a_modem_is_not_cut(tmp_path: Path) -> None:
    # The form takes far longer than each of the timeouts, also of what the system could hold ready to send.
    received: list[int] = []
    told: list[int] = []
    size = 1_600_000
    with serving(slow_server(200_000, received), window=WINDOW) as address:
        begun = time.monotonic()
        answer = client_of(address).submit(
            "/rodin",
            FIELDS,
            kept(tmp_path, png(512, 512, size)),
            lambda sent, _total: told.append(sent),
            timeout=3.0,
        )
        assert time.monotonic() - begun > 7.0
    assert answer.body == b"{}"
    assert received[0] > size
    assert 10 < len(told) < 100


def test_a_line_may_rest_longer_than_the_time_to_connect(tmp_path: Path) -> None:
    with serving(slow_server(1e9, [], rests=2.0), window=WINDOW) as address:
        assert client_of(address).submit("/rodin", FIELDS, kept(tmp_path, png(512, 512, 1_000_000)), timeout=20.0).body == b"{}"


def test_a_line_that_stands_still_is_uncertain(tmp_path: Path) -> None:
    with serving(slow_server(1e9, [], end=100_000), window=WINDOW) as address:
        told = uncertain(client_of(address), pictures=kept(tmp_path, png(512, 512, 8_000_000)))
    assert isinstance(told, Unreachable)
    assert str(told) == "The line stood still before all had been sent."


MEMORY = """
import resource, sys
from pathlib import Path
from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.keys import Secret
client = Client(Connection(sys.argv[1], Secret(sys.argv[2]), 5.0, 5.0))
pictures = [(f"{number}.png", Path(sys.argv[3]), "image/png") for number in range(5)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert client.submit("/rodin", [("prompt", "a vase"), ("tier", "Gen-2.5-Low")], pictures).http_status == 201
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_flat_with_the_most_and_largest_pictures(service: Simulator, tmp_path: Path) -> None:
    ((_, path, _),) = kept(tmp_path, png(512, 512, 16_000_000))
    command = [sys.executable, "-c", MEMORY, service.url, API_KEY, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert [picture["size"] for picture in service.submissions[0].pictures] == [16_000_000] * 5
    # In kilobytes, of 80 MB.
    assert int(done.stdout) < 8_000


def test_a_form_is_as_long_as_it_says(tmp_path: Path) -> None:
    with Multipart(FIELDS, kept(tmp_path, png(), png(512, 512, 300_000)), lambda _sent, _total: None) as body:
        content = b"".join(body)
        assert len(content) == len(body) == body.sent
        assert body.content_type.partition("boundary=")[2].encode() in content
