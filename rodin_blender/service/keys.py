# SPDX-License-Identifier: GPL-3.0-or-later
"""The identifiers a user brings, checked before anything is sent or stored.

A task has two: the *subscription key* (status needs it; a JWT of about 300 characters in the one public sample, but
no form is promised) and the *task uuid* (download needs it). Neither can be derived from the other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from ..texts.actions import WORDS, Action
from ..texts.text import Text
from .errors import BadInput

LONGEST_KEY = 8192
SHORTEST_SECRET = 8
"""What is shorter is no key, but may well be a part of some word."""
_LINK = re.compile(r"[\w+.-]{0,20}://\S*")
UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_WEB_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*:)?//.*|www\..*|[\w-]+(?:\.[\w-]+)*\.(?:ai|app|com|io|net|org)(?:[/?#:].*)?", re.IGNORECASE
)
_OF_THE_VENDOR = re.compile(r"(?i)^(?:https?:)?/{0,2}(?:[\w-]+\.)*(?:hyper3d\.(?:ai|com)|deemos\.com)(?![\w.-])")
WHERE_THE_UUID_IS = WORDS[Action.FIND_UUID]


class NoTask(BadInput):
    """What was given tells no task to follow: the user is told what to give instead."""

    _code = "no_task"

    def __init__(self, said: Text | str) -> None:
        super().__init__(said, Action.GIVE_ANSWER)


class Secret:
    """Text that shows itself only when asked with `reveal()`: not in a repr, a log, a traceback or a pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(****)" if self._text else "Secret()"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True)
class Generation:
    """What to follow: the part of a generation answer that tracking needs. `task_uuid` and `name` may be empty."""

    subscription_key: Secret
    task_uuid: str = ""
    name: str = ""


def subscription_key(text: str) -> Secret:
    """The subscription key in `text`. Raises BadInput with the reason when it cannot be one."""
    text = _unwrapped(text)
    if not text:
        raise NoTask("No subscription key was given.")
    if re.fullmatch(UUID, text):
        raise NoTask(
            "This looks like a uuid, not a subscription key; perhaps the two are swapped. "
            "The subscription key is much longer."
        )
    if len(text) <= LONGEST_KEY and _WEB_ADDRESS.fullmatch(text):
        what = Text("the website of Hyper3D") if _OF_THE_VENDOR.search(text) else Text("a web page")
        told = Text("This is a link to {what}, and does not tell which task to follow.", what=what)
        raise NoTask(told)
    if len(text) > LONGEST_KEY:
        told = Text(
            "This text of {size} is too long for a subscription key (about 300 characters are usual).",
            size=size_of(len(text)),
        )
        raise NoTask(told)
    if not text.isascii() or not text.isprintable() or " " in text:
        raise NoTask(
            "A subscription key has no spaces, line breaks or special characters, and this text has."
        )
    if "***" in text or "..." in text or not any(map(str.isalnum, text)):
        raise NoTask("A part of this subscription key was left out where it was shown.")
    return Secret(text)


def task_uuid(text: str) -> str:
    """The task uuid in `text`, in lower case; "" for blank text. Raises BadInput when it cannot be one."""
    text = _unwrapped(text)
    if not text:
        return ""
    if re.fullmatch(UUID, text):
        return text.lower()
    if len(text) > 60 or text.count(".") >= 2:
        raise BadInput(
            "This looks like a subscription key, not a task uuid; perhaps the two are swapped. "
            "The task uuid is short.",
            Action.FIND_UUID,
        )
    form = "123e4567-e89b-12d3-a456-426614174000"
    raise BadInput(Text("This is not a task uuid. One looks like {form}.", form=form), Action.FIND_UUID)


def api_key(text: str) -> Secret:
    """The API key in `text`, empty for blank text. Raises BadInput for what cannot be sent in an HTTP header."""
    text = text.strip()
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > LONGEST_KEY:
        raise BadInput(
            "The API key holds spaces, line breaks or special characters, so it cannot be one. "
            "Copy it again from the Hyper3D website."
        )
    return Secret(text)


@lru_cache(maxsize=16)
def service_address(text: str) -> str:
    """The service's base address without a trailing slash: https, or http on a loopback address. Raises BadInput."""
    text = text.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    fine = parts.scheme in {"http", "https"} and parts.hostname and port != 0 and text.isascii() and text.isprintable()
    if not fine or parts.query or parts.fragment or "@" in parts.netloc or " " in text:
        raise BadInput("The service address must look like https://api.hyper3d.com/api/v2.", Action.SET_ADDRESS)
    if parts.scheme == "http" and not is_loopback(text):
        raise BadInput(
            "The service address must begin with https://, since the API key is sent to it. "
            "http:// is accepted on this computer's own loopback address only."
        )
    return text


@lru_cache(maxsize=16)
def is_loopback(address: str) -> bool:
    """Whether the address is on this computer itself, and so not the internet."""
    # What stands before a backslash is the host for `requests`, and user information for `urlsplit`.
    if "\\" in address:
        return False
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def printable(text: str, limit: int) -> str:
    """Foreign text fit for one line of an interface: printable, at most `limit` characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: limit * 4]).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def redacted(text: str, limit: int, secrets: Iterable[Secret] = ()) -> str:
    """Foreign text as `printable`, for a sentence or a name: without `secrets`, nor addresses, which may hold some."""
    text = text[: limit * 4 + LONGEST_KEY]
    for secret in secrets:
        if len(secret.reveal()) >= SHORTEST_SECRET:
            text = text.replace(secret.reveal(), "****")
    return printable(_LINK.sub("****", text), limit)


def _unwrapped(text: str) -> str:
    """`text` without the spaces and quotation marks around it, however they are mixed."""
    while (inner := text.strip().strip("\"'`,;")) != text:
        text = inner
    return text


def size_of(characters: int) -> Text:
    if characters >= 100_000:
        return Text("{size:size}", size=characters)
    return Text("{count} characters", count=characters)
