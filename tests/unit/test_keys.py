# SPDX-License-Identifier: GPL-3.0-or-later
"""The identifiers a user brings: what is accepted, what is refused and why, and that secrets stay hidden."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rodin_blender.service import keys
from rodin_blender.service.errors import BadInput
from rodin_blender.service.keys import Generation, Secret

KEY = "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicm9kaW4ifQ.c2lnbmF0dXJl"
UUID = "123e4567-e89b-12d3-a456-426614174000"

@pytest.mark.parametrize(
    ("show", "refusal"),
    [
        (repr, None),
        (str, None),
        ("{}".format, None),
        ("{:>40}".format, TypeError),
        (lambda secret: f"{secret!r} {secret!s} {secret}", None),
        (lambda secret: repr([{"key": Generation(secret, UUID, "vase")}]), None),
        (lambda secret: logging.LogRecord("x", 20, "x", 1, "%s %r", (secret, secret), None).getMessage(), None),
        (pickle.dumps, TypeError),
        (copy.deepcopy, TypeError),
        (lambda secret: json.dumps([secret]), TypeError),
        (int, TypeError),
    ],
)
def test_a_secret_never_shows_its_text(show, refusal):
    secret = Secret(KEY)
    if refusal is None:
        shown = show(secret)
        assert "****" in shown
    else:
        with pytest.raises(refusal) as caught:
            show(secret)
        shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown
    assert secret.reveal() == KEY


def test_a_secret_is_compared_by_its_text_with_other_secrets_only():
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != KEY
    assert not Secret("")
    assert repr(Secret("")) == "Secret()"


@pytest.mark.parametrize(
    "text", [KEY, f"  {KEY}\r\n", f"`{KEY}`", f'"{KEY}",', f'"{KEY}"', f"'{KEY}'", f' " {KEY} " ', f"\" '{KEY}' \"", "x", "k" * keys.LONGEST_KEY]
)
def test_a_subscription_key_is_accepted_in_whatever_it_was_copied_with(text):
    assert keys.subscription_key(text).reveal() == text.strip(" \r\n\"'`,")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "No subscription key was given"),
        (' "" ', "No subscription key was given"),
        ('" "\n" ', "No subscription key was given"),
        (UUID, "looks like a uuid"),
        (UUID.upper(), "looks like a uuid"),
        ("k" * (keys.LONGEST_KEY + 1), "8193 characters is too long"),
        ("k" * 3_000_000, "3.0 MB is too long"),
        ("two words", "spaces"),
        ("two\nlines", "line breaks"),
        ("zero\u200bwidth", "special characters"),
        ("nul\0", "special characters"),
        ("ключ", "special characters"),
        (f"https://hyper3d.ai/rodin/{UUID}", "link to the website of Hyper3D"),
        (f"hyper3d.ai/rodin/{UUID}", "link to the website of Hyper3D"),
        ("https://api.hyper3d.com/api/v2", "link to the website of Hyper3D"),
        ("https://hyper3d.ai.example.com/rodin/x", "link to a web page"),
        ("https://file.example.com/base.glb?Signature=abc", "link to a web page"),
        ("www.example.com", "link to a web page"),
        ("****", "was left out"),
        ("eyJhbGci...", "was left out"),
    ],
)
def test_what_cannot_be_a_subscription_key_is_refused_with_a_hint(text, hint):
    with pytest.raises(BadInput, match=hint):
        keys.subscription_key(text)


@pytest.mark.parametrize(
    ("text", "uuid"), [("", ""), (" \n", ""), (UUID, UUID), (f' "{UUID.upper()}"\n', UUID), (f"'{UUID}'", UUID), (f"\" '{UUID}'", UUID)]
)
def test_a_task_uuid_may_be_blank_and_is_kept_in_lower_case(text, uuid):
    assert keys.task_uuid(text) == uuid


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (KEY, "looks like a subscription key"),
        ("k" * 300, "looks like a subscription key"),
        ("vase", "not a task uuid"),
        (UUID[:-1], "not a task uuid"),
        (UUID.replace("-", ""), "not a task uuid"),
        (UUID.replace("1", "\u0661"), "not a task uuid"),
        (f"{UUID}\n{UUID}"[:60], "not a task uuid"),
    ],
)
def test_what_cannot_be_a_task_uuid_is_refused_with_a_hint(text, hint):
    with pytest.raises(BadInput, match=hint):
        keys.task_uuid(text)


@pytest.mark.parametrize("text", ["a b", "a\nb", "a\r\nX-Header: b", "schlüssel", "a\0", "\u200ba", "a\tb", "k" * 9000])
def test_an_api_key_that_cannot_be_sent_is_refused_without_being_shown(text):
    with pytest.raises(BadInput) as caught:
        keys.api_key(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize(("text", "key"), [("", ""), ("  \n", ""), (" abc-123_XYZ.=+/ \r\n", "abc-123_XYZ.=+/")])
def test_an_api_key_is_stripped_and_may_be_blank(text, key):
    assert keys.api_key(text) == Secret(key)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://api.hyper3d.com/api/v2", "https://api.hyper3d.com/api/v2"),
        (" https://api.hyper3d.com/api/v2// \n", "https://api.hyper3d.com/api/v2"),
        ("https://host:8443", "https://host:8443"),
        ("http://127.0.0.1:8090/api/v2", "http://127.0.0.1:8090/api/v2"),
        ("http://127.8.8.8", "http://127.8.8.8"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://localhost:1", "http://localhost:1"),
    ],
)
def test_a_service_address_is_https_or_on_loopback(text, address):
    assert keys.service_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.hyper3d.com",
        "//api.hyper3d.com",
        "https://",
        "https:///api",
        "ftp://api.hyper3d.com",
        "file:///etc/passwd",
        "https://user:secret@host/",
        "https://host/?key=1",
        "https://host/#part",
        "https://host:0",
        "https://host:99999",
        "https://host:port",
        "https://[::1",
        "https://hos t",
        "https://host\r\nX-Header: 1",
        "https://hyper3d.com\u202e",
        "https://hypér3d.com",
    ],
)
def test_an_address_of_another_form_is_refused_and_shown_one_that_is_right(text):
    with pytest.raises(BadInput, match=r"must look like https://"):
        keys.service_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://api.hyper3d.com",
        "http://127.0.0.1.evil.com",
        "http://localhost.evil.com",
        "http://192.168.1.2:8090",
        "http://0.0.0.0",
        "http://[::2]",
        "HTTP://api.hyper3d.com",
    ],
)
def test_plain_http_is_refused_off_this_computer(text):
    with pytest.raises(BadInput, match=r"must begin with https://"):
        keys.service_address(text)


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1]", r"http://evil.com\@127.0.0.1/", "", "http://"])
def test_an_address_that_readers_could_understand_differently_is_not_loopback(address):
    assert keys.is_loopback(address) is False


@given(st.text(), st.sampled_from([keys.subscription_key, keys.task_uuid, keys.api_key, keys.service_address]))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_valid_identifier_or_bad_input(text, read):
    try:
        found = read(text)
    except BadInput:
        return
    found = found.reveal() if isinstance(found, Secret) else found
    assert found.isascii()
    assert found == "" or (found.isprintable() and " " not in found)


@given(st.text(), st.integers(1, 80))
def test_foreign_text_is_shown_on_one_short_printable_line(text, most):
    shown = keys.printable(text, most)
    assert len(shown) <= most
    assert shown.isprintable()
    assert shown == shown.strip()
