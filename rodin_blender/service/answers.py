# SPDX-License-Identifier: GPL-3.0-or-later
"""The service's JSON answers as typed values. Pure functions: bytes in, values or errors out.

The same "no" can arrive as an HTTP error or inside a 2xx, and on success `error` is absent, null, "" or "OK"
depending on the source, so the body is read before the code is trusted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from ..texts.actions import Action
from ..texts.text import Text
from .errors import BadAnswer, NotAuthorized, Refused, Throttled
from .keys import Secret, printable, redacted

LONGEST_RETRY_AFTER = 24 * 3600.0
LONGEST_ADDRESS = 100
"""Characters of a foreign address that are shown."""
_NOT_AUTHORIZED = ("UNAUTHORIZED", "PERMISSION_DENIED", "USER_NOT_FOUND", "GROUP_NOT_FOUND")


@dataclass(frozen=True)
class Job:
    """One job of a task. `status` is the service's word as it came; `queue_length` the jobs ahead, where given."""

    uuid: str
    status: str
    queue_length: int | None = None


@dataclass(frozen=True)
class ResultFile:
    """One file of a finished task. `name` is untrusted; `url` is a presigned link, to be used at once and not kept."""

    name: str
    url: str

    def __repr__(self) -> str:
        return f"ResultFile(name={self.name!r}, url=****)"


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came, for one that is to be on the disk before anybody makes sense of it, by `read`."""

    http_status: int
    retry_after: str | None
    body: bytes


def read(
    http_status: int,
    body: bytes,
    retry_after: str | None = None,
    now: float = 0.0,
    secrets: Iterable[Secret] = (),
    redirect: str = "",
) -> dict[str, Any]:
    """The JSON object of an answer that means yes.

    `retry_after` is the header's text, `now` seconds since the epoch, for its date form. `secrets` are the keys that
    were sent: an error does not repeat them where the answer does. `redirect` is where the answer points to, see
    `redirect_target`.
    Raises NotAuthorized, Throttled, Refused, BadAnswer.
    """
    answer = json_object_or_none(body)
    code, detail = _refusal(answer or {}, secrets)
    if http_status in (401, 403):
        # The service answers in JSON; a bare 401 may be its own, too.
        if answer is None and (http_status == 403 or _is_page(body)):
            text = "A firewall or proxy, and not the service, refused the request (HTTP {status})."
            raise BadAnswer(http_status, Text(text, status=http_status), Action.TELL_NETWORK)
        raise NotAuthorized(http_status, code, detail)
    if http_status == 429:
        raise Throttled(retry_after_seconds(retry_after, now))
    if code and http_status < 500:
        raise NotAuthorized(http_status, code, detail) if code in _NOT_AUTHORIZED else Refused(code, detail)
    if 300 <= http_status < 400:
        text = "The service address redirects elsewhere (HTTP {status}); the API key is not sent there."
        if redirect:
            text = "The service address redirects to {address} (HTTP {status}); the API key is not sent there."
        if redirect and http_status in (301, 308):
            text += " It may be the service's new address."
        actions = [Action.SET_ADDRESS] if redirect and http_status in (301, 308) else []
        raise BadAnswer(http_status, Text(text, address=redirect, status=http_status), *actions)
    if not 200 <= http_status < 300:
        raise BadAnswer(http_status, Text("The service is in trouble (HTTP {status}).", status=http_status))
    if answer is None:
        text = "The service is in trouble: its answer is empty (HTTP {status})."
        if body.strip():
            text = "The service is in trouble: its answer makes no sense (HTTP {status}, not a JSON object)."
        raise BadAnswer(http_status, Text(text, status=http_status))
    return answer


def jobs(answer: dict[str, Any]) -> tuple[Job, ...]:
    """The jobs of a status answer; empty when none are listed yet. Raises BadAnswer where they have another form."""
    listed = answer.get("jobs")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise BadAnswer(200, "The service is in trouble: its list of jobs makes no sense.")
    found = []
    for entry in listed:
        word = entry.get("status") if isinstance(entry, dict) else None
        status = printable(word, 40) if isinstance(word, str) else ""
        if not status:
            raise BadAnswer(200, "The service is in trouble: a job in its answer has no status.")
        uuid, queue = entry.get("uuid"), entry.get("queue_length")
        found.append(
            Job(
                printable(uuid, 60) if isinstance(uuid, str) else "",
                status,
                queue if isinstance(queue, int) and not isinstance(queue, bool) and 0 <= queue < 2**31 else None,
            )
        )
    return tuple(found)


def files(answer: dict[str, Any]) -> tuple[ResultFile, ...]:
    """The files of a download answer, in its order. Raises BadAnswer where the list has another form."""
    listed = answer.get("list")
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise BadAnswer(200, "The service is in trouble: its list of files makes no sense.")
    found = []
    for entry in listed:
        name, url = (entry.get("name"), entry.get("url")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not isinstance(url, str):
            raise BadAnswer(200, "The service is in trouble: a file in its list has no name or no address.")
        found.append(ResultFile(name, url))
    return tuple(found)


def balance(answer: dict[str, Any]) -> float:
    """The account's credits, which may be fractional. Raises BadAnswer where there is no number."""
    value = answer.get("balance")
    try:
        credits_ = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    except OverflowError:
        credits_ = math.nan
    if not math.isfinite(credits_):
        raise BadAnswer(200, "The service accepted the key, but told no balance.")
    return credits_


def redirect_target(asked: str, location: str, call: str, secrets: Iterable[Secret] = ()) -> str:
    """The service address to which a Location header points, without password and query; "" where it tells none.

    `asked` is the address that was asked, and ends in the path of the `call`, such as /status.
    """
    try:
        parts = urlsplit(urljoin(asked, location))
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    target = printable(f"{parts.scheme}://{host}{parts.path.rstrip('/').removesuffix(call)}", LONGEST_ADDRESS)
    known = any(secret.reveal() in target for secret in secrets if secret)
    return target if location and host and parts.scheme in ("http", "https") and not known else ""


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """Seconds to wait by a Retry-After header, which holds seconds or an HTTP date; None where it tells nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _refusal(answer: dict[str, Any], secrets: Iterable[Secret]) -> tuple[str, str]:
    """The code and the text of an answer that means no; both "" for one that means yes."""
    error, text = answer.get("error"), answer.get("message")
    if not error or error == "OK":
        return "", ""
    code = redacted(error if isinstance(error, str) else json.dumps(error), 60, secrets).removeprefix("API_")
    return code, redacted(text, 200, secrets) if isinstance(text, str) else ""


def _is_page(body: bytes) -> bool:
    """Whether it is HTML, as firewalls and proxies send."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def json_object_or_none(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
