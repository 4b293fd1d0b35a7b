# SPDX-License-Identifier: GPL-3.0-or-later
"""A form with pictures as it goes over the line (RFC 7578), read from open files piece by piece.

The pictures are never in memory as a whole.
"""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from .keys import printable

Picture = tuple[str, Path | Callable[[], BinaryIO], str]
"""Its name as the service sees it, where its content is, and its content type."""

_CHUNK = 64 * 1024
_BETWEEN_REPORTS = 0.1
"""Seconds."""


class Unreadable(OSError):
    """A picture cannot be read, or has become shorter since it was opened. `str` is its name, where it is known."""


class Multipart:
    """The body of one request, as `requests` takes a stream: with a length, read once from beginning to end.

    As a context manager it opens the pictures, and raises `Unreadable`. `report` is called with the bytes that have
    been given to the line and those that there are, ten times a second at most, and at the end.
    """

    def __init__(
        self, fields: Sequence[tuple[str, str]], pictures: Sequence[Picture], report: Callable[[int, int], None]
    ) -> None:
        self._boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.sent = 0
        self.unreadable = False
        self._fields = fields
        self._pictures = pictures
        self._report = report
        self._reported = 0.0
        self._length = 0
        self._chunks: Iterator[bytes] = iter(())
        self._pending = b""
        self._files = ExitStack()

    def __enter__(self) -> Multipart:
        parts: list[tuple[BinaryIO, int]] = []

        def add(text: str) -> None:
            content = text.encode()
            parts.append((io.BytesIO(content), len(content)))

        with ExitStack() as opened:
            for name, text in self._fields:
                add(f"{self._disposition(name)}\r\n\r\n{text}\r\n")
            for name, source, kind in self._pictures:
                try:
                    file = opened.enter_context(source.open("rb") if isinstance(source, Path) else source())
                    size = file.seek(0, io.SEEK_END)
                    file.seek(0)
                except OSError as error:
                    raise Unreadable(repr(printable(name, 60))) from error
                add(f'{self._disposition("images")}; filename="{_escaped(name)}"\r\nContent-Type: {kind}\r\n\r\n')
                parts.append((file, size))
                add("\r\n")
            add(f"--{self._boundary}--\r\n")
            self._files = opened.pop_all()
        self._length = sum(size for _, size in parts)
        self._chunks = self._read(parts)
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        # `requests` recognizes a stream by this method; the sending code calls `read`.
        while chunk := self.read(_CHUNK):
            yield chunk

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most. That it is asked for them says that the line has taken all before."""
        self._tell()
        if not self._pending:
            self._pending = next(self._chunks, b"")
        chunk, self._pending = self._pending[:size], self._pending[size:]
        self.sent += len(chunk)
        return chunk

    def _tell(self) -> None:
        now = time.monotonic()
        if self.sent == self._length or now - self._reported > _BETWEEN_REPORTS:
            self._reported = now
            self._report(self.sent, self._length)

    def _read(self, parts: list[tuple[BinaryIO, int]]) -> Iterator[bytes]:
        for file, size in parts:
            left = size
            while left > 0:
                try:
                    chunk = file.read(min(left, _CHUNK))
                except OSError as error:
                    self.unreadable = True
                    raise Unreadable from error
                if not chunk:
                    self.unreadable = True
                    raise Unreadable
                left -= len(chunk)
                yield chunk

    def _disposition(self, name: str) -> str:
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"'


def _escaped(name: str) -> str:
    # Browsers escape names in the same way.
    for character, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        name = name.replace(character, code)
    return name.encode(errors="replace").decode()
