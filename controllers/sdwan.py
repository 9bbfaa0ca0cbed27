"""The SD-WAN's central controller, a process of its own (W6).

`python -m controllers.sdwan --overlays OVERLAYS.json --listen SOCKET --events EVENTS.jsonl
--record PATHS.jsonl`

OVERLAYS.json is a list of `Overlay` as `uclab.plan.schema.codec` writes it. The events file says what
happens: `overlay-ready` when every path is measured both ways, `path-changed` for each change of a class;
the record has what each path was like all the time (`uclab.records.overlay`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import uvicorn

from controllers.sdwan_api import make_api
from controllers.sdwan_state import SdWanState
from uclab.access.local_socket import listening_private
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.overlay import Overlay
from uclab.records.overlay import PathRecord
from uclab.records.run import Event

DECIDE_S, RECORD_S = 0.1, 0.25
SOURCE = "sdwan-controller"


async def decide(state: SdWanState, events: TextIO) -> None:
    """Decide again and again, and say what changes."""
    ready = False
    while True:
        now = time.monotonic()
        if not ready and state.is_measured(now):
            ready = True
            _say(events, SOURCE, "overlay-ready", ", ".join(state.sites))
        for change in state.decide(now):
            move = change.move
            detail = {
                "site": change.site, "class": change.traffic_class,
                "from": move.source, "to": move.target, "why": move.why,
            }  # fmt: skip
            _say(events, SOURCE, "path-changed", json.dumps(detail))
        await asyncio.sleep(DECIDE_S)


async def record(state: SdWanState, file: TextIO) -> None:
    """Write down what each path is like."""
    while True:
        for site in state.sites:
            for path, figures in state.figures(site, time.monotonic()).items():
                if figures is not None:
                    line = PathRecord(
                        time.time(), site, path, figures.delay_ms, figures.jitter_ms, figures.loss_pct
                    )
                    file.write(json.dumps(asdict(line)) + "\n")
        await asyncio.sleep(RECORD_S)


async def serve(overlays: Sequence[Overlay], listen: Path, events: TextIO, paths: TextIO) -> None:
    """Everything, until the process is told to end."""
    state = SdWanState(overlays)
    server = uvicorn.Server(uvicorn.Config(make_api(state), log_level="warning"))
    async with asyncio.TaskGroup() as group:
        working = [group.create_task(decide(state, events)), group.create_task(record(state, paths))]
        await server.serve([listening_private(listen)])
        for task in working:
            task.cancel()


def _say(events: TextIO, source: str, kind: str, detail: str) -> None:
    events.write(json.dumps(asdict(Event(time.time(), source, kind, detail))) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="controllers.sdwan")
    for name in ("overlays", "listen", "events", "record"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args(arguments)
    overlays = [from_data(Overlay, item) for item in json.loads(options.overlays.read_text())]
    with options.events.open("a", buffering=1) as events, options.record.open("a", buffering=1) as paths:
        asyncio.run(serve(overlays, options.listen, events, paths))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
