# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers of `tools.testing.sockets`, and a client that goes straight to one of them."""

from __future__ import annotations

from rodin_blender.service.answers import ResultFile
from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.keys import Secret
from tools.testing.sockets import answering, closed_port, hanging, letting_nobody_in, serving

__all__ = ["Direct", "answering", "closed_port", "hanging", "letting_nobody_in", "serving"]


class Direct(Client):
    """A client whose list of files is not the service's."""

    def __init__(self, address: str, *names: str, timeout: float = 5.0) -> None:
        super().__init__(Connection(address, Secret("k"), timeout, timeout))
        self.names = names

    def download_list(self, task_uuid: str) -> tuple[ResultFile, ...]:
        return tuple(ResultFile(name, f"{self.connection.address}/{name}") for name in self.names)
