"""WAN lines: where they lead, and whether a link profile can be (W1, V2)."""

from __future__ import annotations

import math
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
    """A delay that scatters wider than itself would have to be negative; a queue has one depth."""
    for direction in (top["up"], top["down"]):
        delay, jitter = direction["delay_ms"].amount, direction["jitter_ms"].amount
        if delay is None or jitter is None:
            continue
        if jitter > delay:
            yield direction["jitter_ms"].mistake(
                f"jitter {jitter:g} ms is more than the delay of {delay:g} ms", f"allowed: 0 to {delay:g}"
            )
        elif direction["jitter_distribution"].text == "uniform" and jitter * math.sqrt(3) > delay:
            yield direction["jitter_ms"].mistake(
                f"a uniform jitter of {jitter:g} ms reaches {jitter * math.sqrt(3):.4g} ms to both sides of "
                f"the delay of {delay:g} ms",
                f"allowed: 0 to {math.floor(delay / math.sqrt(3) * 1000) / 1000:g}",
            )
    if top["queue_ms"].number is not None and top["queue_packets"].given:
        yield top["queue_packets"].mistake(
            "the queue's depth is given twice", "give `queue_ms` or `queue_packets`"
        )
