# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's answers: yes and no in all their forms, and that no bytes whatever get past as another exception."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rodin_blender.service import answers
from rodin_blender.service.answers import Job, ResultFile
from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import BadAnswer, NotAuthorized, Refused, ServiceError, Throttled
from rodin_blender.service.keys import Secret
from tests.unit.sockets import serving
from tools import fuzz

NOW = 1_800_000_000.0

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
answer_like = st.fixed_dictionaries(
    {},
    optional={
        "error": json_values,
        "message": json_values,
        "balance": json_values,
        "jobs": json_values
        | st.lists(st.fixed_dictionaries({"status": json_values, "uuid": json_values, "queue_length": json_values})),
        "list": json_values | st.lists(st.fixed_dictionaries({"name": json_values, "url": json_values})),
    },
)
bodies = st.binary() | (json_values | answer_like).map(lambda value: json.dumps(value).encode())


def deep_error(depth: int) -> bytes:
    return b'{"error": ' + b"[" * depth + b"1" + b"]" * depth + b"}"


def body(value: object) -> bytes:
    return json.dumps(value).encode()


@given(st.integers(100, 599), bodies, st.none() | st.text(), st.floats(0, 4e9))
@example(200, body({"balance": 10**400}), None, NOW)
@example(200, body({"jobs": [{"status": "\0"}]}), None, NOW)
@example(200, b"[" * 200_000, None, NOW)
@example(200, b'{"balance": ' + b"9" * 5000 + b"}", None, NOW)
@example(200, "{}".encode("utf-16"), None, NOW)
@example(200, b"\xff\xfe\xff", None, NOW)
@settings(max_examples=400, deadline=None)
def test_any_answer_parses_or_raises_a_service_error(http_status, content, retry_after, now):
    try:
        answer = answers.read(http_status, content, retry_after, now)
    except ServiceError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 400
        return
    assert 200 <= http_status < 300
    for parse in (answers.jobs, answers.files, answers.balance):
        try:
            found = parse(answer)
        except ServiceError as error:
            assert str(error).isprintable()
        else:
            if parse is answers.jobs:
                assert all(job.status.strip() and job.status.isprintable() for job in found)


pasted_like = st.fixed_dictionaries(
    {},
    optional={
        "error": json_values | st.just("see https://host/?signature=x"),
        "uuid": json_values | st.sampled_from([fuzz.UUID, fuzz.KEY]),
        "prompt": json_values,
        "subscription_key": json_values | st.sampled_from([fuzz.UUID, fuzz.KEY, f"{fuzz.KEY} {fuzz.KEY}"]),
        "jobs": json_values
        | st.fixed_dictionaries({"subscription_key": json_values | st.sampled_from([fuzz.UUID, f"'{fuzz.KEY}'"])}),
    },
)


@given(
    st.builds(
        fuzz.packed,
        st.sampled_from(fuzz.HTTP),
        st.binary(max_size=40).map(lambda header: header.replace(b"\n", b"")) | st.sampled_from([b"3", b"1e9", b"nan"]),
        bodies | pasted_like.map(body) | st.sampled_from([fuzz.KEY, fuzz.UUID]).map(str.encode),
    )
)
@settings(max_examples=400, deadline=None)
def test_any_bytes_give_a_value_of_the_stated_type_or_an_error_that_tells_no_secret(data):
    fuzz.check(data)


@pytest.mark.parametrize("seed", fuzz.SEEDS)
def test_what_the_fuzzer_begins_with_is_fine(seed):
    http_status, retry_after, answer = seed
    fuzz.check(fuzz.packed(http_status, retry_after, body(answer)))


def test_an_error_of_any_depth_is_a_refusal_or_a_bad_answer():
    for depth in range(5, 1100, 5):
        with pytest.raises(ServiceError):
            answers.read(200, deep_error(depth))


@pytest.mark.parametrize("http_status", [200, 201, 202])
@pytest.mark.parametrize("error", [{}, {"error": None}, {"error": ""}, {"error": "OK"}, {"error": False}])
def test_all_ways_to_say_no_error_mean_yes(http_status, error):
    assert answers.read(http_status, body({**error, "jobs": []})) == {**error, "jobs": []}


@pytest.mark.parametrize("http_status", [200, 201, 301, 400, 404, 422])
@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        ({"error": "NO_SUCH_TASK", "message": "No such task."}, "NO_SUCH_TASK", "No such task."),
        ({"error": "API_NO_SUCH_TASK"}, "NO_SUCH_TASK", ""),
        ({"error": {"code": 7}, "message": ["x"]}, '{"code": 7}', ""),
        ({"error": "E\n" * 99, "message": "m\0" * 999}, "E " * 29 + "E…", None),
        ({"error": True}, "true", ""),
    ],
)
def test_a_well_formed_no_is_a_refusal_whatever_the_http_code(http_status, error, code, detail):
    with pytest.raises(Refused) as caught:
        answers.read(http_status, body(error))
    assert caught.value.code == code
    assert len(caught.value.detail) <= 200
    assert detail is None or caught.value.detail == detail
    assert code in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("where", ["error", "message"])
@pytest.mark.parametrize("said", ["{key}", "unknown: {key}.", "you sent Bearer {api_key}", "see {link} for more", "({link})"])
def test_a_no_that_quotes_a_key_or_a_link_is_told_without_it(where, said):
    key, api_key, link = "k" * 150 + ".s3cret", "s3cret-api-key", "HTTPS://user:s3cret@host/x?signature=s3cret"
    answer = {"error": "INVALID", where: said.format(key=key, api_key=api_key, link=link)}

    def refuse(connection):
        while not connection.recv(65536).endswith(b"}"):
            pass
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + body(answer))

    with serving(refuse) as address:
        client = Client(Connection(address, Secret(api_key), 5.0, 5.0))
        with pytest.raises(Refused) as caught:
            client.status(Secret(key))
    assert "s3cret" not in f"{caught.value} {caught.value!r} {caught.value.code} {caught.value.detail}"
    assert "kkk" not in str(caught.value)
    assert "****" in str(caught.value)


@pytest.mark.parametrize(
    ("http_status", "content"),
    [
        (401, b""),
        (401, b"Unauthorized"),
        (401, body({"jobs": []})),
        (403, body({"message": "Forbidden"})),
        (403, body({"error": "NO_SUCH_TASK"})),
        (200, body({"error": "UNAUTHORIZED"})),
        (201, body({"error": "API_UNAUTHORIZED", "message": "x"})),
        (201, body({"error": "API_PERMISSION_DENIED"})),
        (400, body({"error": "PERMISSION_DENIED"})),
        (200, body({"error": "USER_NOT_FOUND"})),
        (201, body({"error": "API_GROUP_NOT_FOUND"})),
    ],
)
def test_an_api_key_that_is_not_accepted_is_told_apart(http_status, content):
    with pytest.raises(NotAuthorized) as caught:
        answers.read(http_status, content)
    assert caught.value.http_status == http_status
    assert caught.value.is_the_keys == (b"_NOT_FOUND" in content)
    assert "()" not in str(caught.value) and "API_" not in str(caught.value)


@pytest.mark.parametrize(
    ("http_status", "content", "said"),
    [
        (403, b"<html>", "firewall or proxy"),
        (403, b"", "firewall or proxy"),
        (403, b"Forbidden", "firewall or proxy"),
        (403, b"[1]", "firewall or proxy"),
        (401, b"<html>", "firewall or proxy"),
        (401, b"\xef\xbb\xbf\r\n <!DOCTYPE html>", "firewall or proxy"),
        (500, body({"error": "UNKNOWN"}), "HTTP 500"),
        (503, body({"jobs": []}), "HTTP 503"),
        (502, b"<html>", "HTTP 502"),
        (404, b"<html>", "HTTP 404"),
        (302, b"", "redirects"),
        (304, body({"jobs": []}), "redirects"),
        (100, body({"jobs": []}), "HTTP 100"),
        (200, b"", "empty"),
        (200, b" \n", "empty"),
        (200, b"<html>", "not a JSON object"),
        (200, b"[1]", "not a JSON object"),
        (200, b'"Done"', "not a JSON object"),
        (200, b'{"jobs": [', "not a JSON object"),
    ],
)
def test_what_the_service_does_not_send_when_well_is_a_bad_answer(http_status, content, said):
    with pytest.raises(BadAnswer, match=said) as caught:
        answers.read(http_status, content)
    assert caught.value.http_status == http_status


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://new.example/api/v3/status", "https://new.example/api/v3"),
        ("https://new.example:8443/api/v3/status/", "https://new.example:8443/api/v3"),
        ("https://me:s3cret@new.example/api/v3/status?token=s3cret#s3cret", "https://new.example/api/v3"),
        ("http://api.example/api/v2/status", "http://api.example/api/v2"),
        ("/api/v3/status", "https://api.example/api/v3"),
        ("//new.example/status", "https://new.example"),
        ("https://login.example/?back=s3cret", "https://login.example"),
        ("https://new.example/" + "a" * 500, "https://new.example/" + "a" * 79 + "…"),
        ("https://new.example/s3cret", ""),
        ("mailto:s3cret", ""),
        ("https://[s3cret", ""),
        ("", ""),
    ],
)
def test_a_redirect_says_where_it_points_without_password_and_query(location, target):
    told = answers.redirect_target("https://api.example/api/v2/status", location, "/status", [Secret("s3cret")])
    assert told == target


@pytest.mark.parametrize(("http_status", "advised"), [(301, True), (308, True), (302, False), (307, False)])
def test_a_redirect_for_good_advises_to_change_the_setting(http_status, advised):
    with pytest.raises(BadAnswer) as caught:
        answers.read(http_status, b"", redirect="https://new.example/api/v3")
    text = "The service address redirects to https://new.example/api/v3 "
    text += f"(HTTP {http_status}); the API key is not sent there."
    assert str(caught.value) == text + " It may be the service's new address. Set another service address." * advised


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 3.5 ", 3.5),
        ("0", 0.0),
        ("-7", 0.0),
        ("1e9", answers.LONGEST_RETRY_AFTER),
        ("inf", answers.LONGEST_RETRY_AFTER),
        ("9" * 5000, answers.LONGEST_RETRY_AFTER),
        ("nan", None),
        ("soon", None),
        ("3 seconds", None),
        ("²", None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
        (formatdate(NOW + 40, usegmt=True), 40.0),
        (formatdate(NOW + 40, usegmt=True).replace("GMT", "-0000"), 40.0),
        (formatdate(NOW - 40, usegmt=True), 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", answers.LONGEST_RETRY_AFTER),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_never_longer_than_a_day(header, seconds):
    with pytest.raises(Throttled) as caught:
        answers.read(429, b"slow down", header, NOW)
    assert caught.value.retry_after == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,5} [0-9:+-]{1,12}", fullmatch=True))
@settings(max_examples=300, deadline=None)
def test_any_retry_after_is_within_a_day_or_tells_nothing(header):
    seconds = answers.retry_after_seconds(header, NOW)
    assert seconds is None or 0 <= seconds <= answers.LONGEST_RETRY_AFTER


def test_jobs_keep_the_services_words():
    listed = [
        {"uuid": "1", "status": "Waiting", "queue_length": 3},
        {"uuid": 7, "status": " Polishing\nit ", "queue_length": True},
        {"status": "D" * 99, "queue_length": -1},
        {"uuid": "4", "status": "done", "queue_length": 2**31, "progress": 1},
    ]
    assert answers.jobs({"jobs": listed}) == (
        Job("1", "Waiting", 3),
        Job("", "Polishing it"),
        Job("", "D" * 39 + "…"),
        Job("4", "done"),
    )


@pytest.mark.parametrize("answer", [{}, {"jobs": None}, {"jobs": []}, {"error": "OK"}])
def test_no_jobs_is_an_empty_list_and_no_error(answer):
    assert answers.jobs(answer) == ()


@pytest.mark.parametrize(
    ("parse", "answer"),
    [(answers.jobs, {"jobs": jobs}) for jobs in ("Done", {}, 0, [None], ["Done"], [{}], [{"status": 1}])]
    + [(answers.jobs, {"jobs": [{"status": " "}]})]
    + [(answers.jobs, {"jobs": [{"status": "Done"}, {"status": "\x1b\0"}]})]
    + [(answers.files, {"list": files}) for files in ("x", {}, [None], [{}], [{"name": "a"}], [{"name": 1, "url": ""}])]
    + [(answers.balance, {"balance": value}) for value in (None, "12", True, [], float("nan"), float("inf"), 10**400)]
    + [(answers.balance, {})],
)
def test_parts_of_another_form_are_a_bad_answer(parse, answer):
    with pytest.raises(BadAnswer):
        parse(answer)


@pytest.mark.parametrize(("value", "credits_"), [(0, 0.0), (12.5, 12.5), (-1, -1.0), (10**15, 1e15)])
def test_a_balance_is_any_finite_number(value, credits_):
    assert answers.balance({"balance": value}) == credits_


def test_files_keep_their_order_and_hide_their_links():
    listed = [{"name": "b.glb", "url": "https://host/b?signature=s3cret"}, {"name": "../a", "url": "https://host/a"}]
    files = answers.files({"list": listed})
    assert files == (ResultFile("b.glb", listed[0]["url"]), ResultFile("../a", listed[1]["url"]))
    assert "s3cret" not in f"{files!r} {files[0]}"
    assert answers.files({}) == ()
