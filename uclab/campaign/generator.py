"""`uclab generator`: a load generator on this machine for a campaign on another one. A network card becomes
its users' way into the lab; locust's own worker plays them and is led over this machine's ordinary network.

The worker is in a network namespace with that card alone, so that nothing of it can take another way. The
one thing that leads out is a relay on the namespace's loopback to locust's leader. When this process ends,
however it ends, so do both, and with them the namespace.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from uclab.access.names import ADDRESS
from uclab.access.private_files import write_private
from uclab.campaign.orders import CAMPAIGNS, worker_at
from uclab.campaign.programs import Program, Programs, follow
from uclab.campaign.refused import GeneratorFailed, OrderRefused
from uclab.campaign.relay import relay, towards
from uclab.campaign.remote_machines import AUTHORITY, LOCUSTFILE, NETWORK_CONFIG, POOL
from uclab.emulation.link import veth
from uclab.emulation.link.veth import InterfaceSettings, NodeSettings
from uclab.emulation.linux import netns, sysctl
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.mininet import nic_passthrough
from uclab.plan.load.record import POOL_VARIABLE, Pool
from uclab.plan.load.remote_generators import GeneratorNetworkConfig
from uclab.plan.schema.codec import from_data
from uclab.records.remote_generators import GENERATORS_VARIABLE
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import block_until

CARRIER_S, ANSWER_S = 20.0, 10.0
"""How long the cable may take to carry packets, and the leader to be reached."""
LOOK_S, GONE_S = 10.0, 60.0
"""How often the leader's port is looked at; how long it is closed when the leader is given up."""
LATER_S = 120.0
"""How much later than its campaign a worker may end: without a leader it gives up after a minute."""
OWN_RESOLVER = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
PROGRAMS = ("socat", "nsenter", "unshare", "setpriv")
T = TypeVar("T")


def read_network_config(folder: Path) -> GeneratorNetworkConfig:
    """The network configuration in a generator's folder that is whole. Raises `OrderRefused`."""
    missing = [
        name for name in (NETWORK_CONFIG, POOL, LOCUSTFILE, AUTHORITY) if not (folder / name).is_file()
    ]
    if missing:
        raise OrderRefused(
            f"`{folder}` is no load generator's folder: it has no {', '.join(missing)}; carry"
            " `campaign/<generator>` of the campaign's --out folder over from the machine of the lab"
        )
    config = _read(GeneratorNetworkConfig, folder / NETWORK_CONFIG)
    _read(Pool, folder / POOL)
    return config


def run_generator(folder: Path, interface: str, leader: str, on_stage: Callable[[str], None]) -> int | None:
    """Play the users of `folder` until the campaign ends; the worker's exit status, None where it had to be
    ended. Raises `OrderRefused` before and `GeneratorFailed` after anything was changed; then, too, all is as
    before."""
    ADDRESS.checked("--leader", leader)
    folder = folder.resolve()
    config = read_network_config(folder)
    _check(interface)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # ended in order, as by Ctrl-C
    try:
        _wait_for_leader(leader, config.leader_port)
        with lent_card(config, interface) as place, Programs(folder) as programs:
            _wait_for_cable(place, interface)
            worker = _start(programs, place, config, leader)
            on_stage(f"{config.generator}: {len(config.addresses)} users at {interface}, led from {leader}")
            watch = LeaderWatch(leader, config.leader_port)
            notices: list[str] = []
            look = partial(watch.look, worker)
            follow(worker, config.longest_s + LATER_S, look, lambda: notices.append("Ctrl-C"))
            programs.end()
            if (
                notices and worker.status == -signal.SIGINT
            ):  # in the middle of its start: it said nothing of use
                raise KeyboardInterrupt
            if worker.status:
                on_stage(f"locust's worker ended with status {worker.status}:\n{worker.words}")
            return worker.status
    except (OSError, NotReady) as error:
        raise GeneratorFailed(str(error)) from error


def _check(interface: str) -> None:
    """Raises `OrderRefused` where the card is in use or this machine lacks something."""
    if words := nic_passthrough.refusal(interface, nic_passthrough.look(interface)):
        raise OrderRefused(words)
    if os.geteuid() != 0:
        raise OrderRefused("a load generator needs root for its namespace; run it with sudo")
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        raise OrderRefused(f"not installed: {', '.join(missing)}; run `uclab setup`")


def _start(programs: Programs, place: Namespace, config: GeneratorNetworkConfig, leader: str) -> Program:
    """The relay to the leader, and locust's worker."""
    port, folder = config.leader_port, programs.folder
    at_home = ["nsenter", f"--net=/proc/{os.getpid()}/ns/net", *towards(leader, port)]
    programs.start("relay", [*_inside(place), *relay("127.0.0.1", port, at_home)], {})
    playing = worker_at(folder / LOCUSTFILE, "127.0.0.1", port)
    environment = {
        "PYTHONPATH": str(CAMPAIGNS.parent),
        POOL_VARIABLE: str(folder / POOL),
        GENERATORS_VARIABLE: config.generator,
    }
    return programs.start("worker", [*_inside(place), *_resolving(config, folder), *playing], environment)


@contextmanager
def lent_card(config: GeneratorNetworkConfig, interface: str) -> Iterator[Namespace]:
    """A namespace with the card, its addresses and routes, for as long as the block runs; then the card is
    given back."""
    home = netns.current("this machine")
    place = netns.anonymous(config.generator)
    try:
        veth.prepare(place, sysctl.early(*sysctl.NODE_DEFAULTS))
        card = nic_passthrough.lend(interface, home, place, config.mac)
        try:
            veth.configure(
                place,
                NodeSettings(
                    (InterfaceSettings(interface, card.index, config.addresses, offload=True),),
                    tuple((route.prefix, route.via, route.metric) for route in config.routes),
                ),
            )
            yield place
        finally:
            nic_passthrough.give_back(card, home)
    finally:
        netns.let_go(place)
        netns.let_go(home)


class LeaderWatch:
    """Tells the worker to end when its leader's port has been closed for long: it may have ended before the
    worker ever reached it."""

    def __init__(self, leader: str, port: int) -> None:
        self._leader = leader
        self._port = port
        self._seen = self._looked = time.monotonic()

    def look(self, worker: Program) -> None:
        """Look, where the last look is long enough ago."""
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        with suppress(OSError):
            _reach(self._leader, self._port)
            self._seen = now
        if now - self._seen > GONE_S:
            worker.process.terminate()


def _reach(leader: str, port: int) -> bool:
    with socket.create_connection((leader, port), timeout=ANSWER_S):
        return True


def _wait_for_leader(leader: str, port: int) -> None:
    def look() -> bool:
        return _reach(leader, port)

    what = f"locust's leader to be reached at {leader}:{port} (`uclab campaign --listen` names the address)"
    block_until(look, what=what, deadline_s=ANSWER_S, every_s=0.25)


def _wait_for_cable(place: Namespace, interface: str) -> None:
    def look() -> bool | None:
        return True if interface in veth.operational(place) else None

    what = f"{interface} to carry packets: is its cable plugged in?"
    block_until(look, what=what, deadline_s=CARRIER_S, every_s=0.05)


def _inside(place: Namespace) -> list[str]:
    """Enters the namespace, which has no name, by this process's descriptor."""
    return ["nsenter", f"--net=/proc/{os.getpid()}/fd/{place.fd}", "--"]


def _resolving(config: GeneratorNetworkConfig, folder: Path) -> list[str]:
    """Gives a program name servers of its own, in a mount namespace of its own."""
    if not Path("/etc/resolv.conf").exists():
        return []
    own = folder / "resolv.conf"
    write_private(folder, own.name, "".join(f"nameserver {server}\n" for server in config.nameservers))
    return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", OWN_RESOLVER, str(own)]


def _read(kind: type[T], path: Path) -> T:
    try:
        return from_data(kind, json.loads(path.read_text()))
    except ValueError as error:
        raise OrderRefused(f"{path}: {error}: made by another version of uclab?") from None
