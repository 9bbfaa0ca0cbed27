"""The table of link profiles in docs/profiles.md, from the files: `python -m ci.profile_table`."""

from __future__ import annotations

import sys
from pathlib import Path

from uclab.model.load import reference_directory
from uclab.model.profile import Direction, LinkProfile
from uclab.model.source import parse, plain, read_text

PAGE = Path(__file__).parents[1] / "docs" / "profiles.md"
BEGIN, END = "<!-- table: python -m ci.profile_table -->\n", "<!-- end of table -->\n"
HEAD = (
    "| profile | way | rate, Mbit/s | delay, ms | jitter, ms | loss between bursts, % "
    "| bursts: one in, packets long, lost | provider's queue |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |\n"
)


def profiles() -> list[LinkProfile]:
    """The shipped profiles by name."""
    found = []
    for path in sorted((reference_directory() / "profiles").glob("*.yaml")):
        root, _ = parse(read_text(path, path.name), path.name)
        found.append(LinkProfile.model_validate(plain(root)))
    return found


def table() -> str:
    """The table: a row for each direction of a profile."""
    return HEAD + "".join(_row(profile, way) for profile in profiles() for way in ("up", "down"))


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
    """The page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
    sys.stdout.write(f"wrote {PAGE}\n")
