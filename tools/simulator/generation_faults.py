"""What can go wrong with a submission: it is refused, or broken off at each moment, taken or not."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from .faults import Service, cut, hang

REFUSALS = {
    "INSUFFICIENT_FUND": "The fund in your wallet is insufficient to perform this operation.",
    "NO_ACTIVE_SUBSCRIPTION": "No active subscription.",
    "SUBSCRIPTION_PLAN_TOO_LOW": "Your plan is too low.",
    "INVALID_REQUEST": "The request is wrong.",
    "PERMISSION_DENIED": "Permission denied.",
    "PARALLELISM_LIMIT_REACHED": "Too many tasks are running.",
    "IMAGE_CONTENT_VIOLATION": "The image violates the content policy.",
    "OBJECT_NOT_FOUND_ON_IMAGE": "No object was found on the image.",
    "IMAGE_LABEL_LENGTH_TOO_LONG": "There are more labels than images.",
    "USER_NOT_FOUND": "User not found.",
    "GROUP_NOT_FOUND": "Group not found.",
    "UNKNOWN": "Unknown error.",
    "NEVER_HEARD_OF": "A code that no documentation has.",
}
"""As faults, each is called `refused-` and its code in small letters with hyphens."""

Take = Callable[[], Response]
"""Does all that the service does with a submission, charges included. Returns the answer."""
GenerationFault = Callable[[Service, Request, Take], Response]

MODEM = 5_600.0
"""Bytes a second."""
_TOO_LARGE = (
    b"HTTP/1.1 413 Content Too Large\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 6\r\n\r\n<html>"
)


class SlowInput:
    """The body of a request, of which only so many bytes a second are taken from the line."""

    def __init__(self, stream: Any, rate: float) -> None:
        self._stream = stream
        self._rate = rate

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._stream.read(min(size, max(int(self._rate / 20), 1)) if size > 0 else size)
        time.sleep(len(piece) / self._rate)
        return piece


def _refused(code: str, message: str) -> GenerationFault:
    def fault(_simulator: Service, request: Request, _take: Take) -> Response:
        drain(request)
        return Response(json.dumps({"error": code, "message": message}), 201, mimetype="application/json")

    return fault


def drain(request: Request, share: float = 1.0) -> None:
    """Receive a share of the body, and forget it."""
    left = int((request.content_length or 0) * share)
    while left > 0 and (piece := request.stream.read(min(left, 65_536))):
        left -= len(piece)


def _in_upload(simulator: Service, request: Request, _take: Take) -> Response:
    drain(request, 0.5)
    return cut(reset=True)(simulator, request)


def _after_upload(*, taken: bool, then: Callable[[Service, Request], Response]) -> GenerationFault:
    def fault(simulator: Service, request: Request, take: Take) -> Response:
        if taken:
            take()
        else:
            drain(request)
        return then(simulator, request)

    return fault


def _changed(change: Callable[[dict[str, Any]], object]) -> GenerationFault:
    def fault(_simulator: Service, _request: Request, take: Take) -> Response:
        response = take()
        answer = response.get_json()
        with contextlib.suppress(KeyError):
            change(answer)
        response.set_data(json.dumps(answer))
        return response

    return fault


def _answer_cut(simulator: Service, request: Request, take: Take) -> Response:
    answer = take().get_data()
    head = f"HTTP/1.1 201 CREATED\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
    return cut(head + answer[: len(answer) // 2])(simulator, request)


def _with_code(code: int) -> GenerationFault:
    """The whole answer, under an HTTP code that a gateway has put there."""

    def fault(_simulator: Service, _request: Request, take: Take) -> Response:
        response = take()
        response.status_code = code
        return response

    return fault


def _quoting(_simulator: Service, request: Request, take: Take) -> Response:
    response = take()
    answer = response.get_json()
    response.set_data(json.dumps({**answer, "message": f"Got {request.headers['Authorization']}"}))
    return response


def _too_large(simulator: Service, request: Request, _take: Take) -> Response:
    # As proxies do: it answers before the upload, which it then lets run into nothing.
    request.environ["werkzeug.socket"].sendall(_TOO_LARGE)
    drain(request)
    return cut()(simulator, request)


def _slow(_simulator: Service, request: Request, take: Take) -> Response:
    request.environ["wsgi.input"] = SlowInput(request.environ["wsgi.input"], MODEM)
    return take()


GENERATION_FAULTS: dict[str, GenerationFault] = {
    **{f"refused-{code.lower().replace('_', '-')}": _refused(code, text) for code, text in REFUSALS.items()},
    "closed-before-upload": lambda simulator, request, _take: cut(reset=True)(simulator, request),
    "closed-in-upload": _in_upload,
    "closed-after-upload": _after_upload(taken=False, then=cut()),
    "taken-and-closed": _after_upload(taken=True, then=cut()),
    "taken-and-reset": _after_upload(taken=True, then=cut(reset=True)),
    "taken-and-hung": _after_upload(taken=True, then=hang),
    "hung-after-upload": _after_upload(taken=False, then=hang),
    "taken-and-html": _after_upload(taken=True, then=lambda _s, _r: Response("<html>hello</html>", 200)),
    "taken-and-502": _after_upload(taken=True, then=lambda _s, _r: Response("<html>Bad Gateway</html>", 502)),
    "taken-with-500": _with_code(500),
    "taken-with-429": _with_code(429),
    "taken-and-empty": _after_upload(taken=True, then=lambda _s, _r: Response("", 201)),
    "taken-and-huge": _after_upload(taken=True, then=lambda _s, _r: Response(b" " * 8 * 1024 * 1024, 201)),
    "answer-quotes-request": _quoting,
    "answer-without-key": _changed(lambda answer: answer["jobs"].pop("subscription_key")),
    "answer-without-uuid": _changed(lambda answer: answer.pop("uuid")),
    "answer-without-consumed": _changed(lambda answer: answer.pop("consumed")),
    "answer-cut": _answer_cut,
    "413-before-upload": _too_large,
    "slow": _slow,
}
"""`taken-` ones have charged the account and begun a task; the others have not."""
