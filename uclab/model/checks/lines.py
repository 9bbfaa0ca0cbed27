"""WAN lines: where they lead, and whether a link profile can be (W1, V2)."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.mistake import Mistake, closest, listed, shown
from uclab.model.place import Place


def check(top: Place) -> Iterator[Mistake]:
    """Connections lead to providers that there are."""
    providers = [name for p in top["internet"]["providers"] if (name := p["name"].text) is not None]
    for site in top["sites"]:
        for line in site["connections"]:
            name = line["to"].text
            if name is not None and name not in providers:
                yield line["to"].mistake(
                    f"there is no provider {shown(name)}",
                    f"known: {listed(providers)}",
                    closest(name, providers),
                )


def check_profile(top: Place) -> Iterator[Mistake]:
    """A delay that scatters wider than itself would have to be negative."""
    for direction in (top["up"], top["down"]):
        delay, jitter = direction["delay_ms"].amount, direction["jitter_ms"].amount
        if delay is not None and jitter is not None and jitter > delay:
            yield direction["jitter_ms"].mistake(
                f"jitter {jitter:g} ms is more than the delay of {delay:g} ms", f"allowed: 0 to {delay:g}"
            )
