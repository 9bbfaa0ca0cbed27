"""Which path a class of traffic takes: leaves one that does not keep its limits, comes back when a preferred
one has kept them for long (W6). Pure: figures and time come in, a new state goes out.

Two times give hysteresis. A path is left when it was beyond the limits without a break for `leave_after_s`
and another keeps them; a preferred one is returned to when it kept them without a break for `return_after_s`.
Where no path keeps them the class stays, unless nothing at all arrives on its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from controllers.path_metrics import Figures
from uclab.plan.schema.overlay import PathClass, SteeringRules

DEAD_PCT = 100.0


@dataclass(frozen=True)
class SteeringState:
    """Where a class goes now, and since when each path has kept its limits, or has not."""

    path: str
    good_since: Mapping[str, float]
    bad_since: Mapping[str, float]


@dataclass(frozen=True)
class Move:
    """A change of path, with its reason in words."""

    source: str
    target: str
    why: str


def start(paths: Sequence[str]) -> SteeringState:
    """The preferred path."""
    return SteeringState(paths[0], {}, {})


def excess(limits: PathClass, figures: Figures | None) -> str | None:
    """What is beyond the limits, in words; None where all are kept."""
    if figures is None:
        return "nothing is known of it"
    beyond = [
        f"{what} {value:g} {unit} > {limit:g} {unit}"
        for what, value, limit, unit in (
            ("loss", figures.loss_pct, limits.max_loss_pct, "%"),
            ("delay", figures.delay_ms, limits.max_delay_ms, "ms"),
            ("jitter", figures.jitter_ms, limits.max_jitter_ms, "ms"),
        )
        if value > limit
    ]
    return ", ".join(beyond) or None


def step(
    course: SteeringState,
    limits: PathClass,
    rules: SteeringRules,
    figures: Mapping[str, Figures | None],
    now: float,
) -> tuple[SteeringState, Move | None]:
    """The next state. `figures` has all paths in order of preference; `now` in seconds never goes back."""
    excesses = {path: excess(limits, path_figures) for path, path_figures in figures.items()}
    course = replace(
        course,
        good_since={p: course.good_since.get(p, now) for p, said in excesses.items() if said is None},
        bad_since={p: course.bad_since.get(p, now) for p, said in excesses.items() if said is not None},
    )
    move = _leave(course, rules, excesses, figures, now) or _return(course, rules, list(figures), now)
    return (replace(course, path=move.target), move) if move is not None else (course, None)


def _leave(
    course: SteeringState,
    rules: SteeringRules,
    words: Mapping[str, str | None],
    figures: Mapping[str, Figures | None],
    now: float,
) -> Move | None:
    since = course.bad_since.get(course.path)
    if since is None or now - since < rules.leave_after_s:
        return None
    target = next((path for path in figures if path in course.good_since), None)
    if target is None and _dead(figures[course.path]):
        target = next((path for path, path_figures in figures.items() if not _dead(path_figures)), None)
    if target is None:
        return None
    return Move(course.path, target, f"{course.path}: {words[course.path]} for {now - since:.1f} s")


def _return(course: SteeringState, rules: SteeringRules, paths: Sequence[str], now: float) -> Move | None:
    for path in paths[: paths.index(course.path)]:
        since = course.good_since.get(path)
        if since is not None and now - since >= rules.return_after_s:
            return Move(course.path, path, f"{path} has kept the limits for {now - since:.1f} s")
    return None


def _dead(figures: Figures | None) -> bool:
    return figures is None or figures.loss_pct >= DEAD_PCT
