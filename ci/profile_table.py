"""The tables of docs/profiles.md, link profiles and what conditions do to them, from the files:
`python -m ci.profile_table`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from uclab.model.conditions import Conditions
from uclab.model.link_degradation import under
from uclab.model.load import reference_directory
from uclab.model.profile import Direction, LinkProfile
from uclab.model.source import parse, plain, read_text

PAGE = Path(__file__).parents[1] / "docs" / "profiles.md"
BEGIN, END = "<!-- table: python -m ci.profile_table -->\n", "<!-- end of table -->\n"
BEGIN_CONDITIONS = "<!-- conditions: python -m ci.profile_table -->\n"
HEAD = (
    "| profile | way | rate, Mbit/s | delay, ms | jitter, ms | loss between bursts, % "
    "| bursts: one in, packets long, lost | provider's queue |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)

HEAD_CONDITIONS = (
    "| profile | conditions | rate | delay, ms | jitter, ms | loss, % |\n"  # of the way down
    "| --- | --- | --- | --- | --- | --- |\n"
)
SHOWN: tuple[tuple[str, dict[str, str | int]], ...] = (
    ("mobile-4g", {"weather": "rain"}),
    ("mobile-4g", {"weather": "storm"}),
    ("mobile-4g", {"distance": "medium"}),
    ("mobile-4g", {"distance": "far"}),
    ("mobile-4g", {"weather": "storm", "distance": "far"}),
    ("satellite-leo", {"weather": "rain"}),
    ("satellite-leo", {"weather": "storm"}),
    ("satellite-leo", {"distance": "far"}),
    ("satellite-geo", {"weather": "storm"}),
    ("satellite-geo", {"weather": "storm", "distance": "far"}),
    ("wifi-5ghz", {"distance": "medium", "surroundings": "office"}),
    ("wifi-5ghz", {"distance": "medium", "surroundings": "walls"}),
    ("wifi-5ghz", {"distance": "far", "surroundings": "walls"}),
    ("wifi-2-4ghz", {"distance": "far", "surroundings": "walls"}),
    ("wifi-5ghz", {"users": 5}),
    ("wifi-5ghz", {"users": 20}),
    ("wifi-5ghz", {"users": 50}),
)
"""Conditions that the page shows."""


def profiles() -> list[LinkProfile]:
    """The shipped profiles by name."""
    found = []
    for path in sorted((reference_directory() / "profiles").glob("*.yaml")):
        root, _ = parse(read_text(path, path.name), path.name)
        found.append(LinkProfile.model_validate_json(json.dumps(plain(root))))
    return found


def table() -> str:
    """The table: a row for each direction of a profile."""
    return HEAD + "".join(_row(profile, way) for profile in profiles() for way in ("up", "down"))


def conditions_table() -> str:
    """The table of what conditions do to the way down of a profile."""
    known = {profile.profile: profile for profile in profiles()}
    rows = []
    for name, conditions in SHOWN:
        before, after = known[name].down, under(known[name], Conditions.model_validate(conditions)).down
        cells = (
            f"`{name}`",
            ", ".join(f"`{key}: {value}`" for key, value in conditions.items()),
            f"{100 * after.rate_kbps / before.rate_kbps:.0f} %",
            f"+{after.delay_ms - before.delay_ms:.1f}",
            f"+{after.jitter_ms - before.jitter_ms:.1f}",
            f"+{after.loss_pct - before.loss_pct:.2f}",
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD_CONDITIONS + "".join(rows)


def _row(profile: LinkProfile, way: str) -> str:
    direction = profile.up if way == "up" else profile.down
    jitter = f"{direction.jitter_ms:g} {direction.jitter_distribution}"
    cells = (
        f"[`{profile.profile}`](../topologies/profiles/{profile.profile}.yaml)" if way == "up" else "",
        way,
        f"{direction.rate_kbps / 1000:g}",
        f"{direction.delay_ms:g}",
        jitter if direction.jitter_ms else "0",
        f"{direction.loss_pct:g}",
        _bursts(direction),
        _queue(profile) if way == "down" else "",
    )
    return f"| {' | '.join(cells)} |\n"


def _bursts(direction: Direction) -> str:
    if direction.bursts is None:
        return "none"
    bursts = direction.bursts
    return f"{100 / bursts.enter_pct:.0f}, {100 / bursts.leave_pct:.0f}, {bursts.lost_pct:g} %"


def _queue(profile: LinkProfile) -> str:
    depth = [f"{profile.queue_ms} ms"] if profile.queue_ms else []
    depth += [f"{profile.queue_packets} packets"] if profile.queue_packets else []
    return ", ".join(["by class" if profile.honours_classes else "one for all", *depth])


def page(text: str) -> str:
    """The page with its tables made again."""
    for begin, made in ((BEGIN, table()), (BEGIN_CONDITIONS, conditions_table())):
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(END)
        text = f"{before}{begin}{made}{END}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.stdout.write(f"wrote {PAGE}\n")
