"""What an agent is told at its start: one JSON file, written by the driver and read by the agent's
process."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOCKET = "agent.sock"
"""Name of the control socket in the agent's folder."""
CA_FILE = "ca.pem"
"""Name of the file of trusted authorities in the agent's folder."""
RECEIVED = "received"
"""Sub-folder of the recordings."""


@dataclass(frozen=True)
class AgentSettings:
    """An account and how its user agent behaves."""

    name: str
    aor: str
    registrar_uri: str
    proxy_uris: tuple[str, ...]
    """One for each registrar, the preferred one first."""
    user: str
    password: str
    nameservers: tuple[str, ...]
    tone_hz: int
    keepalive_s: int
    """Silence after which the kernel asks whether the other end of a connection is there."""
    probe_s: int
    """From one question without an answer to the next."""
    lost_s: int
    """Silence after which a connection is given up."""
    transport: str = "tls"
    verify_server: bool = True
    encrypt_media: bool = True
    registers: bool = True
    dscp_media: int = 46
    dscp_signalling: int = 26
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    media_ports: tuple[int, int] = (20000, 64998)
    listen_port: int = 0
    """Local SIP port; 0 is any."""
    certificate: str | None = None
    """Own certificate and key (PEM), for calls that come in without a registration."""
    registration_s: int = 270

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> AgentSettings:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in json.loads(path.read_text()).items()
        }
        return cls(**values)
