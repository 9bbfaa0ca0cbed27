"""What the SD-WAN's controller knows and decides: reports of agents in, choices out (W6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from controllers import steering
from controllers.path_metrics import Figures, worse
from uclab.plan.schema.overlay import Overlay

Side = Literal["edge", "gateway"]
STALE_S = 2.0
"""An agent that said nothing for so long knows nothing."""


@dataclass(frozen=True)
class Change:
    """A class of a site's traffic that takes another path from now on."""

    site: str
    traffic_class: str
    move: steering.Move


@dataclass
class _Report:
    at: float
    figures: Mapping[str, Figures | None]


@dataclass
class _Site:
    overlay: Overlay
    courses: dict[str, steering.SteeringState]
    reports: dict[Side, _Report] = field(default_factory=dict)

    def figures(self, now: float) -> dict[str, Figures | None]:
        """The worse of both directions, by path in order of preference."""
        fresh = {side: r.figures for side, r in self.reports.items() if now - r.at <= STALE_S}
        return {
            tunnel.path: worse(
                fresh.get("edge", {}).get(tunnel.path), fresh.get("gateway", {}).get(tunnel.path)
            )
            for tunnel in self.overlay.tunnels
        }


class SdWanState:
    """All overlays. Times are seconds of a clock that never goes back."""

    def __init__(self, overlays: Sequence[Overlay]) -> None:
        self._sites = {
            overlay.site: _Site(
                overlay,
                {c.name: steering.start([t.path for t in overlay.tunnels]) for c in overlay.rules.classes},
            )
            for overlay in overlays
        }

    def report(
        self, site: str, side: Side, figures: Mapping[str, Figures | None], now: float
    ) -> dict[str, str]:
        """Takes what one end measured of what arrives there; answers with the path of each class. Raises
        `KeyError` for a site that there is not."""
        self._sites[site].reports[side] = _Report(now, figures)
        return self.choice(site)

    def choice(self, site: str) -> dict[str, str]:
        """Class to path."""
        return {name: course.path for name, course in self._sites[site].courses.items()}

    def figures(self, site: str, now: float) -> dict[str, Figures | None]:
        """What is known of a site's paths; the worse of both directions."""
        return self._sites[site].figures(now)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites with an overlay."""
        return tuple(self._sites)

    def is_measured(self, now: float) -> bool:
        """Whether every path of every site is known both ways."""
        return all(
            figures is not None for site in self._sites.values() for figures in site.figures(now).values()
        )

    def decide(self, now: float) -> Iterator[Change]:
        """Let time pass: classes that change their path now. Nothing is decided of a site before it was
        measured once."""
        for name, site in self._sites.items():
            if len(site.reports) < 2:
                continue
            figures = site.figures(now)
            for limits in site.overlay.rules.classes:
                course, move = steering.step(
                    site.courses[limits.name], limits, site.overlay.rules, figures, now
                )
                site.courses[limits.name] = course
                if move is not None:
                    yield Change(name, limits.name, move)
