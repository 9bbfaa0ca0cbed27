"""What a campaign is to do, and the command lines of locust's processes for it (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uclab.plan.load.load_placement import LoadGenerator
from uclab.plan.load.record import POOL_VARIABLE
from uclab.runtime.installation import IMPORTING, PACKAGES, module_command

PROFILES: Mapping[str, str] = {
    "busy-hour": "users of all kinds call each other and the telephone network at random (Erlang)",
    "monday-morning": "all phones register at once, then stay",
    "wan-failover": "all phones are registered, the first line fails, and all come back",
}
"""Campaigns that come with uclab, by name: `campaigns/<name>.py` with underscores."""
LINE_FAILS = "wan-failover"
SILENT = ("monday-morning", "wan-failover")
"""Campaigns in which nobody calls."""
CAMPAIGNS = PACKAGES / "campaigns"
PATHS = IMPORTING
LEADER_PORT = 5557
WEB_PORT = 8089
STOP_S = 15
"""How long users may take to finish what they are at when the time is over."""
READY_S = 60
"""How long the leader waits for workers on this machine."""


@dataclass(frozen=True)
class CampaignOrder:
    """What is wanted: rates in users a second, times in seconds."""

    profile: str
    locustfile: Path
    users: int
    spawn_rate: float
    duration_s: int
    workers: int
    web: bool
    remote: Mapping[str, str] = field(default_factory=dict)
    """Load generators on other machines, with the network cards of this one that lead to them."""
    listen: str | None = None
    """This machine's address where locust's leader is to be reached from there."""
    ready_s: int = READY_S
    """How long the leader waits for its workers."""

    @property
    def longest_s(self) -> float:
        """When a campaign that has not ended by itself is ended."""
        return self.ready_s + self.users / self.spawn_rate + self.duration_s + 3 * STOP_S


def locustfile(profile: str) -> Path | None:
    """The file of a campaign by name or path; None where there is none."""
    if profile in PROFILES:
        return CAMPAIGNS / f"{profile.replace('-', '_')}.py"
    path = Path(profile)
    return path.resolve() if path.suffix == ".py" and path.is_file() else None


def generator_environment(folder: Path, generator: str) -> dict[str, str]:
    """What a load generator's program has to know: where its users are listed."""
    return {**PATHS, POOL_VARIABLE: str(folder / f"{generator}.json")}


def leader_command(order: CampaignOrder, folder: Path) -> list[str]:
    """locust's master: waits for its workers, then runs for the time wanted and writes its reports.

    With the web page locust's own `--autostart` begins at once and `--autoquit` ends when the time is over.
    """
    how = ["--autostart", "--autoquit", "1", "--web-host", "127.0.0.1"] if order.web else ["--headless"]
    return [
        *_locust(order.locustfile),
        "--master",
        *("--master-bind-port", str(LEADER_PORT)),
        *("--expect-workers", str(order.workers), "--expect-workers-max-wait", str(order.ready_s)),
        *how,
        *("--users", str(order.users), "--spawn-rate", f"{order.spawn_rate:g}"),
        *("--run-time", f"{order.duration_s}s", "--stop-timeout", str(STOP_S)),
        *("--csv", str(folder / "locust"), "--csv-full-history", "--html", str(folder / "locust.html")),
    ]


def worker_command(order: CampaignOrder, generator: LoadGenerator) -> list[str]:
    """locust's worker on a load generator."""
    return worker_at(order.locustfile, generator.leader_address, LEADER_PORT)


def worker_at(file: Path, leader: str, port: int) -> list[str]:
    """locust's worker with a locustfile and its leader's address."""
    return [*_locust(file), "--worker", "--master-host", leader, "--master-port", str(port)]


def _locust(file: Path) -> Sequence[str]:
    return module_command("locust", "--locustfile", str(file))
