"""Load generators on other machines, from the first machine: their orders checked, their folders written, the
way to locust's leader, and what is known of them in the end."""

from __future__ import annotations

import errno
import json
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from uclab.access.private_files import write_private
from uclab.campaign.orders import LEADER_PORT, CampaignOrder
from uclab.campaign.refused import OrderRefused
from uclab.emulation.mininet import nic_passthrough
from uclab.plan.load.load_placement import LoadPlan, pools
from uclab.plan.load.record import GeneratorRecord
from uclab.plan.load.remote_generators import RemoteGenerator
from uclab.plan.schema.codec import from_data, to_data
from uclab.records.remote_generators import (
    GENERATORS_VARIABLE,
    KINDS,
    RECORDS_VARIABLE,
    RemoteGeneratorStatus,
    trouble,
)

POOL, NETWORK_CONFIG, LOCUSTFILE, AUTHORITY = "pool.json", "network.json", "locustfile.py", "ca.pem"
"""Files of a generator's folder, `campaign/<generator>`: all that the other machine needs."""
WAIT_S = 600
"""How long the leader waits for generators on other machines, where nothing else is ordered."""


def cards_of(assignments: Sequence[str]) -> dict[str, str]:
    """`load2=eth1` as generator and network card (pure). Raises `OrderRefused`."""
    found: dict[str, str] = {}
    for word in assignments:
        name, equals, card = word.partition("=")
        if not (name and equals and card):
            raise OrderRefused(f"--remote {word}: expected GENERATOR=INTERFACE, e.g. `load2=eth1`")
        if name in found:
            raise OrderRefused(f"--remote {word}: `{name}` is given twice")
        found[name] = card
    return found


def check(order: CampaignOrder) -> None:
    """Refuse an order that would fail after the lab is up, or cut this machine off. Raises `OrderRefused`."""
    if order.remote and order.listen is None:
        raise OrderRefused(
            "generators on other machines have to reach locust's leader: name this machine's address for them"
            " with --listen ADDRESS"
        )
    if order.listen is not None and not order.remote:
        raise OrderRefused(
            "--listen is for load generators on other machines: name one with --remote GENERATOR=INTERFACE"
        )
    for card in order.remote.values():
        if words := nic_passthrough.refusal(card, nic_passthrough.look(card)):
            raise OrderRefused(words)
    if order.listen is None:
        return
    if shutil.which("socat") is None:
        raise OrderRefused("socat is not installed: it leads to locust's leader; run `uclab setup`")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((order.listen, LEADER_PORT))
    except OSError as error:
        what = "no address of this machine" if error.errno == errno.EADDRNOTAVAIL else str(error.strerror)
        raise OrderRefused(f"--listen {order.listen}: {what} (TCP port {LEADER_PORT})") from None


def leader_environment(gone: Sequence[RemoteGenerator], folder: Path) -> dict[str, str]:
    """What locust's leader has to know to keep the records of generators elsewhere."""
    names = " ".join(generator.name for generator in gone)
    return {GENERATORS_VARIABLE: names, RECORDS_VARIABLE: str(folder)} if gone else {}


def write_folders(
    load_plan: LoadPlan, gone: Sequence[RemoteGenerator], order: CampaignOrder, authority: Path, folder: Path
) -> None:
    """`campaign/<generator>` for each elsewhere: all that the other machine needs, for root alone: passwords
    are in it. Its paths hold wherever it is carried."""
    pool_of = {pool.generator: pool for pool in pools(load_plan, "", AUTHORITY)} if gone else {}
    for generator in gone:
        own = folder / generator.name
        own.mkdir(mode=0o700)
        texts = {
            POOL: json.dumps(to_data(replace(pool_of[generator.name], records=generator.name))) + "\n",
            NETWORK_CONFIG: json.dumps(
                to_data(generator.network_config(LEADER_PORT, order.longest_s)), indent=1
            )
            + "\n",
            LOCUSTFILE: order.locustfile.read_text(),
            AUTHORITY: authority.read_text(),
        }
        for name, text in texts.items():
            write_private(own, name, text)


def begun(gone: Sequence[RemoteGenerator], folder: Path) -> bool:
    """Whether the campaign has begun as far as generators elsewhere tell: their clocks are compared then."""
    return all((folder / f"{generator.name}.told.json").exists() for generator in gone)


def ended(name: str, folder: Path) -> GeneratorRecord:
    """How a generator elsewhere ended, by what came of it."""
    path = folder / f"{name}.told.json"
    status = from_data(RemoteGeneratorStatus, json.loads(path.read_text())) if path.exists() else None
    problem = trouble(status, came(name, folder))
    where = f"see worker.log in its folder `{name}`, there" if problem else ""
    return GeneratorRecord(name, 0, where, problem)


def came(name: str, folder: Path) -> Mapping[str, int]:
    """How many records of each kind are here."""
    files = {kind: folder / f"{name}.{kind}.jsonl" for kind in KINDS}
    return {kind: file.read_text().count("\n") if file.exists() else 0 for kind, file in files.items()}


def invitation(generator: RemoteGenerator, own: Path, order: CampaignOrder) -> str:
    """What to do on the other machine, in words."""
    return (
        f"waiting {order.ready_s} s for {generator.name}: copy {own} to its machine and run there:"
        f" sudo uclab generator {generator.name} --interface INTERFACE --leader {order.listen}"
    )
