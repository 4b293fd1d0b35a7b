"""The service itself: a server on a real socket, its tasks, its account, and what it was asked."""

from __future__ import annotations

import base64
import contextlib
import ssl
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from email.utils import formatdate
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from tools.models import result_files

from .faults import FAULTS, FILE_FAULTS, as_error, as_json, version_of
from .generation import Outage, Sent, described, read_form, trouble
from .generation_faults import GENERATION_FAULTS, REFUSALS, SlowInput, drain
from .stories import STORIES, Files, Story, Task

API_KEY = "simulated-api-key"


@dataclass(frozen=True)
class Asked:
    """One request that arrived."""

    path: str
    at: float
    subscription_key: str
    authorized: bool
    host: str = ""
    range: str = ""
    """Of a file: the bytes that were asked for, where not all."""
    file: str = ""
    """Its task's uuid and its number in the list."""


class Simulator:
    """The service. As a context manager it listens on 127.0.0.1, on a free port unless told otherwise."""

    def __init__(
        self,
        *,
        port: int = 0,
        speed: float = 1.0,
        balance: float = 12.5,
        tls: ssl.SSLContext | None = None,
        begins_when_asked: bool = False,
    ) -> None:
        self.speed = speed
        self.begins_when_asked = begins_when_asked
        """Whether a task's story begins with its first status call: a client that starts late misses nothing of it."""
        self._balance_at_first = balance
        self.released = threading.Event()
        """Set to end all hanging answers."""
        self._taking = threading.Lock()
        self.reset()
        self._server = make_server(
            "127.0.0.1", port, self._application, threaded=True, request_handler=_Quiet, ssl_context=tls
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="simulator", daemon=True)
        self.port = self._server.server_port
        self.root = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.url = f"{self.root}/api/v2"
        self._urls = Map(
            [
                Rule("/api/v2/rodin", methods=["POST"], endpoint=self._generate),
                Rule("/api/v2/<call>", methods=["POST"], endpoint=self._generate),
                Rule("/api/v2/status", methods=["POST"], endpoint=self._status),
                Rule("/api/v2/download", methods=["POST"], endpoint=self._download),
                Rule("/api/v2/check_balance", methods=["GET"], endpoint=self._check_balance),
                Rule("/files/<task_uuid>/<path:name>", methods=["GET"], endpoint=self._file),
                Rule("/simulator/reset", methods=["POST"], endpoint=self._reset),
                Rule("/simulator/tasks", methods=["POST"], endpoint=self._add),
                Rule("/simulator/faults", methods=["POST"], endpoint=self._add_faults),
                Rule("/simulator/hosting", methods=["POST"], endpoint=self._set_hosting),
                Rule("/simulator/account", methods=["POST"], endpoint=self._set_account),
                Rule("/simulator/submissions", methods=["GET"], endpoint=self._submitted),
                Rule("/simulator/requests", methods=["GET"], endpoint=self._asked),
            ]
        )

    def __enter__(self) -> Simulator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def reset(self) -> None:
        """Be as new: an account without a task, nothing asked yet, and a service that is well."""
        self.balance = self._balance_at_first
        self.requests: list[Asked] = []
        self.rate: float | None = None
        self.link_life = 600.0
        self.submissions: list[Sent] = []
        """All that arrived whole, those that were refused included."""
        self.other_calls: dict[str, float] = {}
        """What other paid calls cost than rodin, by their paths; whatever fields they are given are taken."""
        self.story: str | Story = "done"
        """Of the tasks that are generated, and the files that they have; None for those by the prompt."""
        self.result_files: Files | None = None
        self.made: dict[str, tuple[str | Story, Files | None]] = {}
        """The story and the files of the tasks with these prompts, where they are to be others."""
        self.parallel: int | None = None
        """How many tasks may run at once."""
        self.upload_rate: float | None = None
        """Bytes a second that are taken from a submission's line."""
        self._tasks: dict[str, Task] = {}
        self._faults: dict[str, deque[str]] = {}

    def add(
        self,
        story: str | Story = "done",
        *,
        prompt: str = "",
        faults: Iterable[str] = (),
        files: Files | None = None,
    ) -> dict[str, Any]:
        """Begin a task. Its status calls first meet `faults`, one each. Returns the generation call's answer."""
        jobs = STORIES[story] if isinstance(story, str) else story
        # Made here and not when they are asked for: it takes a second, and clients do not wait so long.
        files = result_files(prompt) if files is None else files
        listed = [*files.items()] if isinstance(files, dict) else files
        task = Task(jobs, prompt, time.time(), faults=deque(faults), files=listed)
        task.job_uuids = [str(uuid.uuid4()) for _ in jobs]
        self._tasks[task.subscription_key] = task
        return {
            "error": None,
            "message": "Submitted.",
            "prompt": prompt,
            "submit_time": formatdate(task.began, usegmt=True),
            "uuid": task.uuid,
            "jobs": {"uuids": task.job_uuids, "subscription_key": task.subscription_key},
        }

    def end(self, answer: dict[str, Any]) -> None:
        """From now on all jobs of the task with this generation answer are done."""
        task = self._tasks[answer["jobs"]["subscription_key"]]
        task.story = [[(0.0, "Done")] for _ in task.story]

    def fail(self, path: str, *faults: str) -> None:
        """Answer the next calls of `path` with these faults, one each.

        A path is rodin, status, download, check_balance or files. A fault whose name ends in "!" stays.
        """
        self._faults.setdefault(path, deque()).extend(faults)

    def mend(self, path: str) -> None:
        """Answer the calls of `path` as a service does that is well."""
        self._faults.pop(path, None)

    @property
    def subscription_keys(self) -> list[str]:
        """Of all tasks."""
        return [*self._tasks]

    def asked(self, path: str) -> list[Asked]:
        return [request for request in self.requests if request.path == path]

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            endpoint, values = self._urls.bind_to_environ(environ).match()
            response = endpoint(request, **values)
        except HTTPException as error:
            response = error.get_response(environ)
        return response(environ, start_response)  # type: ignore[no-any-return]

    # The service's calls.

    def _generate(self, request: Request, call: str = "rodin") -> Response:
        if call not in {"rodin", *self.other_calls}:
            raise NotFound
        self._note(call, request)
        fault = self._next_fault(call)
        if self.upload_rate:
            request.environ["wsgi.input"] = SlowInput(request.environ["wsgi.input"], self.upload_rate)
        if fault in GENERATION_FAULTS:
            return GENERATION_FAULTS[fault](self, request, lambda: self._take(request, call))
        if fault:
            drain(request)
            return FAULTS[fault](self, request)
        return self._take(request, call)

    def _take(self, request: Request, call: str) -> Response:
        """All that the service does with a submission."""
        refusal = self._refusal_or_none(request)
        if refusal:
            drain(request)
            return refusal
        try:
            form = read_form(request)
        except Outage:
            return Response("<html>Internal Server Error</html>", 500)
        pictures = [described(picture) for picture in form.pictures]
        price = self.other_calls.get(call, form.price)
        with self._taking:
            code, message = self._objection(price, "" if call in self.other_calls else trouble(form))
            answer: dict[str, Any] = {"error": code, "message": message}
            if not code:
                self.balance -= price
                prompt = form.values.get("prompt", "")
                story, files = self.made.get(prompt, (self.story, self.result_files))
                files = result_files(prompt, form.proportions) if files is None else files
                made = self.add(story, prompt=prompt, files=files)
                answer = {**made, "consumed": price}
            prompt, tier, task_uuid = form.values.get("prompt", ""), form.tier, answer.get("uuid", "")
            sent = Sent(time.time(), prompt, form.texts, pictures, tier, price, code, task_uuid, call)
            self.submissions.append(sent)
        return as_json(answer, 201)

    def _objection(self, price: float, wrong: str) -> tuple[str, str]:
        """The code and the text of the refusal of a form that is `wrong`, both "" where it is taken."""
        if wrong:
            return "INVALID_REQUEST", wrong
        running = sum(not task.ended(self._age(task)) for task in [*self._tasks.values()])
        if self.parallel is not None and running >= self.parallel:
            return "PARALLELISM_LIMIT_REACHED", REFUSALS["PARALLELISM_LIMIT_REACHED"]
        if self.balance < price:
            return "INSUFFICIENT_FUND", REFUSALS["INSUFFICIENT_FUND"]
        return "", ""

    def _status(self, request: Request) -> Response:
        key = (request.get_json(silent=True) or {}).get("subscription_key", "")
        task = self._tasks.get(key)
        instead = self._instead("status", request, key, task)
        if instead:
            return instead
        if task is None:
            return as_error("NO_SUCH_TASK", "The subscription key does not identify an available task.")
        if self.begins_when_asked and not task.asked:
            task.began = time.time()
        task.asked = True
        return as_json({"jobs": task.jobs(self._age(task))}, 201)

    def _download(self, request: Request) -> Response:
        task_uuid = (request.get_json(silent=True) or {}).get("task_uuid", "")
        instead = self._instead("download", request)
        if instead:
            return instead
        task = self._by_uuid(task_uuid)
        if task is None:
            return as_error("NO_SUCH_TASK", "No such task.")
        ends = time.time() + self.link_life
        links = [
            {"name": name, "url": f"{self.root}/files/{task.uuid}/{number}?expires={ends}&signature=x"}
            for number, (name, _content) in enumerate(task.files)
        ]
        return as_json({"error": "OK", "list": links})

    def _check_balance(self, request: Request) -> Response:
        return self._instead("check_balance", request) or as_json({"balance": self.balance})

    def _instead(self, path: str, request: Request, key: str = "", task: Task | None = None) -> Response | None:
        """Note the call. A fault or a refusal that comes in place of its answer."""
        self._note(path, request, key)
        fault = self._next_fault(path, task)
        return FAULTS[fault](self, request) if fault else self._refusal_or_none(request)

    def _by_uuid(self, task_uuid: str) -> Task | None:
        return next((task for task in self._tasks.values() if task.uuid == task_uuid), None)

    def _file(self, request: Request, task_uuid: str, name: str) -> Response:
        self._note("files", request, file=f"{task_uuid}/{name}")
        fault = self._next_fault("files")
        if fault in FAULTS:
            return FAULTS[fault](self, request)
        task = self._by_uuid(task_uuid)
        if task is None or time.time() > float(request.args.get("expires", 0)):
            return Response("<Error><Code>AccessDenied</Code></Error>", 403)
        content = task.files[int(name)][1]
        if fault:
            return FILE_FAULTS[fault](self, request, content)
        response = Response(content, mimetype="application/octet-stream")
        response.set_etag(version_of(content))
        response.make_conditional(request, accept_ranges=True, complete_length=len(content))
        if self.rate:
            response.response = self._slowly(b"".join(response.response), self.rate)  # type: ignore[arg-type]
        return response

    def _slowly(self, content: bytes, rate: float) -> Iterator[bytes]:
        piece = max(int(rate / 20), 1)
        for start in range(0, len(content), piece):
            if self.released.wait(0.05):
                return
            yield content[start : start + piece]

    # The simulator's own.

    def _add(self, request: Request) -> Response:
        wish = request.get_json()
        files = _decoded(wish.get("files"))
        story, prompt, faults = wish.get("story", "done"), wish.get("prompt", ""), wish.get("faults", ())
        return as_json(self.add(story, prompt=prompt, faults=faults, files=files))

    def _reset(self, _request: Request) -> Response:
        self.reset()
        return as_json({})

    def _add_faults(self, request: Request) -> Response:
        wish = request.get_json()
        self.fail(wish["path"], *wish["faults"])
        return as_json({})

    def _set_hosting(self, request: Request) -> Response:
        wish = request.get_json()
        self.rate, self.link_life = wish.get("rate", self.rate), wish.get("link_life", self.link_life)
        return as_json({})

    def _set_account(self, request: Request) -> Response:
        wish = request.get_json()
        for name in ("balance", "parallel", "story", "upload_rate"):
            setattr(self, name, wish.get(name, getattr(self, name)))
        for prompt, given in wish.get("made", {}).items():
            self.made[prompt] = given.get("story", self.story), _decoded(given.get("files"))
        return as_json({})

    def _submitted(self, _request: Request) -> Response:
        return as_json({"submissions": [asdict(sent) for sent in self.submissions]})

    def _asked(self, _request: Request) -> Response:
        return as_json({"requests": [vars(asked) for asked in self.requests]})

    def _note(self, path: str, request: Request, key: str = "", file: str = "") -> None:
        asked = Asked(
            path,
            time.time(),
            str(key),
            "Authorization" in request.headers,
            request.host.partition(":")[0],
            request.headers.get("Range", ""),
            file,
        )
        self.requests.append(asked)

    def _next_fault(self, path: str, task: Task | None = None) -> str:
        for faults in (self._faults.get(path), task.faults if task else None):
            if faults:
                # A fault whose name ends in "!" stays.
                return faults[0].removesuffix("!") if faults[0].endswith("!") else faults.popleft()
        return ""

    def _refusal_or_none(self, request: Request) -> Response | None:
        if request.headers.get("Authorization") == f"Bearer {API_KEY}":
            return None
        return as_json({"error": "UNAUTHORIZED", "message": "Active API key is required."}, 401)

    def _age(self, task: Task) -> float:
        return (time.time() - task.began) * self.speed


def _decoded(given: dict[str, str] | None) -> Files | None:
    return None if given is None else {name: base64.b64decode(content) for name, content in given.items()}


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self) -> None:
        # After a reset the socket is gone, and the server would look for the connection's next request.
        with contextlib.suppress(OSError):
            super().handle()

    def log(self, *_args: object) -> None:
        pass
