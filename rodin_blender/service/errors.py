# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can go wrong between us and the service.

    RodinError
    ├── BadInput                what the user gave cannot be right; nothing was sent
    └── ServiceError            asking did not bring an answer
        ├── ClientUnavailable   this Python cannot ask at all (no `requests`)
        ├── Unreachable         no HTTP answer: DNS, refused, reset, TLS, proxy, time ran out
        ├── NotSent             no HTTP answer, and surely no byte of the request has left: it may be sent again
        ├── Aborted             we cut the call short ourselves
        ├── BadAnswer           an HTTP answer that is not what the service sends (5xx, HTML, not JSON, too large)
        │   └── LinkExpired     the file server refuses a result file's link: it is no longer good
        ├── NotAuthorized       the API key is not accepted
        ├── Throttled           429
        └── Refused             a well-formed error answer: NO_SUCH_TASK and the like

`error.trouble` is what the user is told, as data. It never holds a key, nor the text of a foreign exception, which may
quote addresses with passwords in them.
"""

from __future__ import annotations

import traceback

from ..texts.actions import Action
from ..texts.text import Text, Trouble


class RodinError(Exception):
    """Base of all errors of this package."""

    _code = "trouble"

    def __init__(self, said: Text | Trouble | str, *actions: Action) -> None:
        super().__init__()
        self.trouble = said if isinstance(said, Trouble) else Trouble(self._code, said, *actions)

    def __str__(self) -> str:
        return str(self.trouble)


class BadInput(RodinError):
    """The given key, uuid, address or text cannot be what it should be."""

    _code = "bad_input"


class ServiceError(RodinError):
    """Asking the service brought no usable answer."""

    _code = "no_answer"


class ClientUnavailable(ServiceError):
    """This Python has no `requests`."""

    _code = "client"


class Unreachable(ServiceError):
    """No HTTP answer arrived. `cause` is one of dns, refused, reset, tls, proxy, timeout, connection."""

    def __init__(self, cause: str, text: Text | str, *actions: Action) -> None:
        super().__init__(Trouble(f"unreachable_{cause}", text, *actions))
        self.cause = cause


class NotSent(ServiceError):
    """No connection came about, so that the service knows nothing of the request. Raised by `Client.submit` alone.

    `cause` is one of those of Unreachable; "aborted" for a call that we cut short ourselves; "picture" for a picture
    that could not be read.
    """

    _code = "not_sent"

    def __init__(self, cause: str, said: Text | Trouble | str) -> None:
        super().__init__(said)
        self.cause = cause


class Unusable(OSError):
    """A proxy or a CA file that cannot be used, found before anything is sent. `text` tells the user.

    An OSError, as other trouble on the way is. It does not leave the client, which makes an Unreachable of it.
    """

    def __init__(self, cause: str, text: Text) -> None:
        super().__init__(str(text))
        self.cause = cause
        self.text = text


class Aborted(ServiceError):
    """The call was cut short by `Client.abort`, mostly since it took too long."""

    _code = "too_slow"

    def __init__(self) -> None:
        super().__init__("The service took too long over its answer.")


class BadAnswer(ServiceError):
    """An answer came that the service does not send when it is well. `http_status` is its HTTP code."""

    _code = "bad_answer"

    def __init__(self, http_status: int, text: Text | str, *actions: Action) -> None:
        super().__init__(text, *actions)
        self.http_status = http_status


class LinkExpired(BadAnswer):
    """The file server refuses a link. They are good for a while only: ask for the list again."""

    _code = "link_expired"


class NotAuthorized(ServiceError):
    """The API key is not accepted. `code` is the service's word for it, "" where the answer held none.

    As `answers.read` raises it, the refusal may be for the task that was asked about alone, unless `is_the_keys`. The
    client finds that out: its calls raise NotAuthorized for the key, and what `of_task` returns for the task.
    """

    _code = "bad_key"

    def __init__(self, http_status: int, code: str = "", detail: str = "") -> None:
        self.http_status = http_status
        self.code = code
        self.detail = detail
        self._reason = code if code and http_status not in (401, 403) else f"HTTP {http_status}"
        super().__init__(Text("The service does not accept the API key ({reason}).", reason=self._reason))

    @property
    def is_the_keys(self) -> bool:
        """Whether no task can be the reason."""
        return self.code in ("USER_NOT_FOUND", "GROUP_NOT_FOUND")

    def of_task(self) -> ServiceError:
        """What the refusal means where the key is known to be accepted: a word about the task, or a passing trouble."""
        if self.code in ("", "UNAUTHORIZED"):
            text = "The service refused this request ({reason}), though it accepts the API key."
            return BadAnswer(self.http_status, Text(text, reason=self._reason))
        return Refused(self.code, self.detail)


class Throttled(ServiceError):
    """HTTP 429. `retry_after` is in seconds, None where the service named no time."""

    _code = "throttled"

    def __init__(self, retry_after: float | None) -> None:
        super().__init__("The service asks us to slow down (HTTP 429).")
        self.retry_after = retry_after


class Refused(ServiceError):
    """The service understood and said no. `code` is its word, such as NO_SUCH_TASK (any API_ prefix removed)."""

    def __init__(self, code: str, detail: str = "") -> None:
        said = f"{code}: {detail}" if detail else code
        word = code.lower() if code.isidentifier() else "refused"
        super().__init__(Trouble(word, Text("The service answered {said}.", said=said.rstrip("."))))
        self.code = code
        self.detail = detail


def trouble_of(error: Exception) -> Trouble:
    """What the user is told of any exception. A foreign one's own text is left out: it may quote a secret."""
    if isinstance(error, RodinError):
        return error.trouble
    text = "Something in the Rodin extension itself went wrong ({kind}); please report it."
    return Trouble("unexpected", Text(text, kind=type(error).__name__))


def os_reason(error: OSError) -> str:
    """What the system says of a disk access that failed."""
    return error.strerror or type(error).__name__


def trace(error: BaseException) -> str:
    """A traceback for the console, without the lines of the sources, which would be read from the disk."""
    return "\n".join([frames(error), f"{type(error).__name__}: {error}"]).lstrip("\n")


def frames(error: BaseException) -> str:
    """Where in the code an exception was raised. Its own text is left out, since it may quote a secret."""
    calls = traceback.walk_tb(error.__traceback__)
    return "\n".join(f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in calls)
