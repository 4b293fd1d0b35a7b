"""Looks for an answer of the service, a text from the clipboard or a picture that the extension cannot cope with.

    python3 tools/fuzz.py [--seconds 60] [--inputs COUNT]

Coverage-guided (atheris, libFuzzer): what reaches new code is kept and changed further. A find is printed, and its
input kept in dist/fuzz. With --inputs so many are tried, the same each time. Exit code 0: nothing was found,
1: something was, 2: atheris cannot be had on this machine.
Standard library only, but for atheris, which lives in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

FINDS = ROOT / "dist" / "fuzz"
ATHERIS = "atheris==3.0.0"
FOUND, NOT_AVAILABLE = 1, 2

NOW = 1_800_000_000.0
HTTP = (200, 201, 429, 400, 401, 403, 302, 404, 422, 500, 503, 100, 204)
KEY = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicm9kaW4ifQ.c2lnbmF0dXJl"
UUID = "123e4567-e89b-12d3-a456-426614174000"
SEEDS: tuple[tuple[int, bytes, object], ...] = (
    (200, b"", {"error": None, "jobs": [{"uuid": UUID, "status": "Done"}, {"status": "Waiting", "queue_length": 3}]}),
    (201, b"", {"error": "OK", "jobs": []}),
    (200, b"", {"list": [{"name": "base.glb", "url": "https://host/base.glb?signature=x"}]}),
    (200, b"", {"balance": 12.5}),
    (400, b"", {"error": "API_NO_SUCH_TASK", "message": "see https://host/x"}),
    (200, b"", {"error": "UNAUTHORIZED"}),
    (429, b"3", {}),
    (429, b"Fri, 31 Dec 9999 23:59:59 GMT", {}),
    (200, b"", {"uuid": UUID, "prompt": "a vase", "jobs": {"uuids": [UUID], "subscription_key": KEY}}),
    (200, b"", {"uuid": UUID, "subscription_key": KEY}),
    (201, b"", {"uuid": UUID, "jobs": {"uuids": [UUID], "subscription_key": KEY}, "consumed": 0.5}),
    (201, b"", {"error": "API_INSUFFICIENT_FUND", "message": "The fund is insufficient."}),
)
PICTURES = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\0\0\0\2\0\x08\2\0\0\0",
    b"\xff\xd8\xff\xe1\0\6Exif\xff\xc2\0\x11\x08\2\0\2\0\3",
    b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\1\0\xff\1\0\0\0\0\0",
    b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\1\x2a\0\2\0\2\0\0\0\0",
    b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xc1\x7f\0\0\0\0\0\0\0\0\0\0",
)
WORDS = (
    "error", "message", "jobs", "status", "uuid", "queue_length", "list", "name", "url", "balance", "prompt",
    "subscription_key", "Done", "OK", "API_", "UNAUTHORIZED", "https://", "http://127.0.0.1", "null", "1e999", "NaN",
    "Infinity", KEY, UUID,
)  # fmt: skip
VALUES = (
    b"0", b"5", b"-1", b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b'""', b'" "', b'"Done"', b'"\\u0000"',
    b'"\\ud800"', b"[1]", b'{"status": "Done"}', b'"' + KEY.encode() + b'"', b'"' + UUID.encode() + b'"',
    b'"see https://host/?signature=x"', b'"' + b"x" * 900 + b'"', b"9" * 5000, b"[" * 3000 + b"]" * 3000,
)  # fmt: skip
_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|true|false|null|\[\]')
LONG_WORD = 32
"""Our own sentences have none as long, so that one of what was given is a leak."""


def packed(http_status: int, retry_after: bytes, body: bytes) -> bytes:
    """An answer as `check` takes it."""
    return bytes([HTTP.index(http_status)]) + retry_after + b"\n" + body


def check(data: bytes) -> None:
    """Whatever the bytes: a value of the stated type, or one of the documented errors, which tells no secret.

    The first byte chooses an HTTP code, the rest of the first line is the Retry-After header, all else the body; which
    is also taken for what was pasted. Raises whatever is a find.
    """
    head, _, body = data[1:].partition(b"\n")
    # As http.client decodes headers.
    _check_answer(HTTP[data[0] % len(HTTP)] if data else 200, head.decode("latin-1"), body)
    _check_pasted(body.decode(errors="surrogateescape"))
    _check_picture(body)


def _check_answer(http_status: int, retry_after: str, body: bytes) -> None:
    from rodin_blender.service import answers
    from rodin_blender.service.errors import BadAnswer, NotAuthorized, Refused, Throttled
    from rodin_blender.tasks import refusals, submission
    from rodin_blender.tasks.task import Status, is_done, status_of

    _check_wait(answers.retry_after_seconds(retry_after, NOW))
    try:
        answer = answers.read(http_status, body, retry_after, NOW)
    except (NotAuthorized, Throttled, Refused, BadAnswer) as error:
        _check_told(error)
        refusal = refusals.of_submission(error)
        assert refusal is not None or type(error) is BadAnswer
        told = str(refusal.trouble) if refusal else "nothing"
        assert told.isprintable() and 0 < len(told) < 400, refusal
        if isinstance(error, Throttled):
            _check_wait(error.retry_after)
        return
    assert type(answer) is dict and 200 <= http_status < 300
    jobs = _value_or_told(answers.jobs, answer, BadAnswer)
    if jobs is not None:
        assert all(type(job) is answers.Job for job in jobs)
        assert all(job.status and job.status.isprintable() and job.uuid.isprintable() for job in jobs)
        assert all(job.queue_length is None or type(job.queue_length) is int for job in jobs)
        if status_of(jobs) is Status.DONE:
            assert jobs and all(map(is_done, jobs))
        if not answer.get("jobs"):
            assert not jobs and status_of(jobs) is Status.UNKNOWN
    files = _value_or_told(answers.files, answer, BadAnswer)
    if files is not None:
        assert all(type(file.name) is str and type(file.url) is str for file in files)
        assert not any(len(file.url) >= LONG_WORD and file.url in repr(file) for file in files if file.url != file.name)
    balance = _value_or_told(answers.balance, answer, BadAnswer)
    assert balance is None or (type(balance) is float and math.isfinite(balance))
    promised = _value_or_told(submission.accepted, answer, BadAnswer)
    if promised is not None:
        assert promised.task_uuid and promised.subscription_key
        assert promised.credits is None or 0 <= promised.credits <= 1e6


def _check_picture(content: bytes) -> None:
    from rodin_blender.service.errors import BadInput
    from rodin_blender.service.pictures import check_picture

    kind = _value_or_told(lambda given: check_picture("vase.png", given, len(given)), content, BadInput)
    assert kind in (None, "image/png", "image/jpeg", "image/webp")


def _check_pasted(text: str) -> None:
    from rodin_blender.service import keys, paste_parser
    from rodin_blender.service.errors import BadInput

    read_all = _value_or_told(paste_parser.parse, text, BadInput, secrets=_keys_in(text))
    for found in read_all.generations if read_all else ():
        assert keys.subscription_key(found.subscription_key.reveal()) == found.subscription_key
        assert keys.task_uuid(found.task_uuid) == found.task_uuid
        assert found.name.isprintable() and len(found.name) <= paste_parser.LONGEST_NAME
        assert len(found.subscription_key.reveal()) < LONG_WORD or found.subscription_key.reveal() not in repr(read_all)
        assert paste_parser.parse(paste_parser.serialized(found)).generations == (found,)
    for read in (keys.subscription_key, keys.api_key):
        secret = _value_or_told(read, text, BadInput, secrets=text.split())
        assert secret is None or re.fullmatch(r"[!-~]*", secret.reveal())
    uuid = _value_or_told(keys.task_uuid, text, BadInput, secrets=text.split())
    assert not uuid or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid)
    keys.is_loopback(text)
    try:
        address = keys.service_address(text)
    except BadInput as error:
        assert str(error).isprintable()
    else:
        assert keys.service_address(address) == address
        assert address.lower().startswith("https://") or keys.is_loopback(address)


def _keys_in(text: str) -> list[str]:
    """What stands in the place of a key; all words, where it is no JSON."""
    if not text.lstrip().startswith(("{", "[")):
        return text.split()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return text.split()
    parts = [part for part in (answer, answer.get("jobs")) if isinstance(part, dict)] if type(answer) is dict else []
    return [key for key in (part.get("subscription_key") for part in parts) if isinstance(key, str)]


def _value_or_told(
    read: Callable[[Any], Any], given: object, expected: type[Exception], secrets: object = ()
) -> Any:
    try:
        return read(given)
    except expected as error:
        _check_told(error, secrets)
        return None


def _check_told(error: Exception, secrets: Any = ()) -> None:
    said = f"{error} {error!r}"
    assert str(error).isprintable() and 0 < len(str(error)) < 400, said
    assert "://" not in said.replace("https://api.hyper3d.com/api/v2", ""), said
    # One of our sentences shows a uuid, for its form.
    assert not [secret for secret in secrets if len(secret) >= LONG_WORD and secret in said.replace(UUID, "")], said


def _check_wait(seconds: float | None) -> None:
    assert seconds is None or (type(seconds) is float and 0 <= seconds <= 24 * 3600)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--inputs", type=int, help="so many, the same each time, unless the time is over before")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        _fuzz(given.seconds, given.inputs, given.inside)
    from tools import blenders

    try:
        python = blenders.environment("fuzz", [ATHERIS])
    except blenders.NotAvailable as error:
        print(f"Not run: this machine cannot have {ATHERIS} (it wants Python 3.11 on Linux). {error}")
        return NOT_AVAILABLE
    shutil.rmtree(FINDS, ignore_errors=True)
    FINDS.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        words = [str(python), str(Path(__file__)), "--seconds", str(given.seconds), "--inside", folder]
        words += ["--inputs", str(given.inputs)] if given.inputs else []
        done = subprocess.run(
            words, cwd=ROOT, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=given.seconds + 120, check=False,
        )  # fmt: skip
    return _report(done.returncode, done.stdout, given.seconds)


def _changed(data: bytes, most: int, seed: int) -> bytes:
    """libFuzzer's own changes, of bytes, or another JSON value in the place of one: bytes alone seldom lead to that."""
    import atheris

    chance = random.Random(seed)
    places = [*_VALUE.finditer(data)]
    if not places or chance.random() < 0.5:
        return atheris.Mutate(data, most)
    place = chance.choice(places)
    return (data[: place.start()] + chance.choice(VALUES) + data[place.end() :])[:most]


def _fuzz(seconds: int, inputs: int | None, folder: Path) -> None:
    """For atheris' own Python; does not return."""
    import atheris

    with atheris.instrument_imports(include=["rodin_blender", "json", "email._parseaddr", "email.utils"]):
        from rodin_blender.service import answers, keys, pictures  # noqa: F401
        from rodin_blender.tasks import (
            submission,  # noqa: F401
            task,  # noqa: F401
        )
    corpus, dictionary = folder / "corpus", folder / "words"
    corpus.mkdir()
    for number, (http_status, retry_after, answer) in enumerate(SEEDS):
        (corpus / f"answer-{number}").write_bytes(packed(http_status, retry_after, json.dumps(answer).encode()))
    for number, picture in enumerate(PICTURES):
        (corpus / f"picture-{number}").write_bytes(packed(200, b"", picture))
    (corpus / "key").write_bytes(packed(200, b"", KEY.encode()))
    dictionary.write_text("".join(f'"{word}"\n' for word in WORDS))
    # Each find is one for good: a hang after 10 s, and 1 GB of memory, are finds, too.
    options = ["-timeout=10", "-rss_limit_mb=1024", f"-max_total_time={seconds}", "-print_final_stats=1"]
    options += [f"-runs={inputs}", "-seed=1"] if inputs else []
    options += ["-max_len=8192", "-len_control=0", f"-dict={dictionary}", f"-artifact_prefix={FINDS}/", str(corpus)]

    def kept_if_a_find(data: bytes) -> None:
        try:
            check(data)
        except BaseException:
            # Not left to libFuzzer, whose own alarm can end it before it has written.
            (FINDS / "find").write_bytes(data)
            raise

    atheris.Setup([sys.argv[0], *options], kept_if_a_find, custom_mutator=_changed)
    atheris.Fuzz()
    raise AssertionError("libFuzzer ends the program")


def _report(code: int, printed: str, seconds: int) -> int:
    runs = re.search(r"stat::number_of_executed_units: *(\d+)", printed)
    coverage = re.findall(r"cov: (\d+) ft: (\d+) corp: (\d+)", printed)
    finds = sorted(FINDS.iterdir())
    for content, find in {find.read_bytes(): find for find in finds}.items():
        print(f"FOUND {find.relative_to(ROOT)}: {content!r}")
    if finds or code or not runs or not coverage:
        print("".join(printed.splitlines(keepends=True)[-40:]))
        print(f"The fuzzer ended with {code}.")
        return FOUND
    edges, features, kept = coverage[-1]
    print(f"{int(runs[1]):,} inputs, {seconds} s at most: {edges} places of the code reached, {features} counts and "
          f"values told apart, {kept} inputs kept as new; nothing was found.")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
