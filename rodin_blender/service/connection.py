# SPDX-License-Identifier: GPL-3.0-or-later
"""Where and as whom to ask. Imports no `requests`, so that whoever only passes it on is spared its 100 ms."""

from __future__ import annotations

from dataclasses import dataclass, field

from .keys import Secret


@dataclass(frozen=True)
class Connection:
    """Where, as whom and on which way to ask.

    `address` comes from `keys.service_address`; timeouts are seconds of silence.
    """

    address: str
    api_key: Secret
    connect_timeout: float = 10.0
    read_timeout: float = 20.0
    proxy: Secret = field(default_factory=lambda: Secret(""))
    """As the user gives it, see `proxies`. Without one, the environment's or the system's is used."""
    ca_file: str = ""
    """A file with certificates to trust besides the system's."""
    program: str = ""
    """What asks, for the user agent: Blender/4.5.1."""

    def same_account(self, other: Connection) -> bool:
        """Whether what the service says of the API key of one holds for the other."""
        return (self.address, self.api_key) == (other.address, other.api_key)
