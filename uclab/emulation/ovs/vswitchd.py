"""Open vSwitch engines: an ovsdb-server and an ovs-vswitchd each, private, in a namespace of their own.

Several engines, because the main thread of ovs-vswitchd polls every port of the userspace datapath and slows
down with many. Sockets and databases live on a tmpfs over `/run/openvswitch` in the lab's mount namespace;
the host's own Open vSwitch is neither seen nor touched.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from uclab.emulation.linux import processes
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.processes import Daemon
from uclab.emulation.ovs.ovsdb import DATABASE, Operation, OvsdbClient, insert, named, ovs_map, ovs_set
from uclab.runtime.node import NotReady
from uclab.runtime.readiness import block_until

RUN_DIR = Path("/run/openvswitch")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
Datapath = Literal["kernel", "userspace"]
START_DEADLINE_S = 10.0


@dataclass(frozen=True)
class BridgePort:
    """A port: an interface of the engine's namespace, and its VLANs where no controller decides them."""

    interface: str
    number: int
    vlan_mode: Literal["access", "trunk", "native-untagged"] | None = None
    tag: int | None = None
    trunks: tuple[int, ...] = ()
    mtu: int | None = None
    """Longest payload of a frame, where that is not the usual one."""


@dataclass(frozen=True)
class Bridge:
    """A switch as Open vSwitch knows it. Without a controller it forwards by learning (action NORMAL)."""

    name: str
    dpid: int
    ports: tuple[BridgePort, ...]
    controller: str | None = None
    """OpenFlow target, e.g. `unix:/run/openvswitch/controllers/hq.sock`."""
    secure: bool = False
    """True: no forwarding but what a controller (or `openflow.install`) installs."""
    stacked_tags: bool = False
    """Frames may carry a service tag and a customer's tag behind it."""


@dataclass
class Engine:
    """One running pair of daemons."""

    name: str
    namespace: Namespace
    datapath: Datapath
    log_dir: Path
    run_dir: Path = field(init=False)
    daemons: list[Daemon] = field(default_factory=list)
    _client: OvsdbClient | None = None

    def __post_init__(self) -> None:
        self.run_dir = RUN_DIR / self.name

    @property
    def database_socket(self) -> Path:
        """Where `ovs-vsctl --db=unix:...` connects."""
        return self.run_dir / "db.sock"

    def management_socket(self, bridge: str) -> Path:
        """Where `ovs-ofctl` connects."""
        return RUN_DIR / f"{bridge}.mgmt"

    def start(self, template: Path) -> None:
        """Start ovsdb-server on a copy of the empty database `template`, and ovs-vswitchd as soon as it
        answers.

        In this order: an ovs-vswitchd that finds no server tries again only after a second. `configure` waits
        for the rest.
        """
        self.run_dir.mkdir(parents=True)
        database = self.run_dir / "conf.db"
        shutil.copyfile(template, database)
        remote = f"--remote=punix:{self.database_socket}"
        self._run("ovsdb-server", remote, f"--unixctl={self.run_dir}/ovsdb.ctl", str(database))
        self._connected()
        self._run("ovs-vswitchd", f"--unixctl={self.run_dir}/vswitchd.ctl", f"unix:{self.database_socket}")

    def _run(self, program: str, *arguments: str) -> None:
        name = f"{self.name}-{program}"
        log = self.log_dir / f"{name}.log"
        # one OVS_RUNDIR for all engines: below it a controller's UNIX socket may be (see `check_target`)
        env = {
            "OVS_RUNDIR": str(RUN_DIR),
            "OVS_LOGDIR": str(self.log_dir),
            "OVS_DBDIR": str(self.run_dir),
        }
        argv = [program, "-vconsole:warn", "-vsyslog:off", "-vfile:info", f"--log-file={log}", *arguments]
        daemon = processes.start(name, argv, log=log, namespace=self.namespace, env=env)
        if program == "ovs-vswitchd" and self.datapath == "userspace":
            # It carries every packet. Not `prefer`: it can fill a core, and would keep phones from sending.
            daemon.favour()
        self.daemons.append(daemon)

    def configure(self, bridges: Sequence[Bridge], deadline_s: float) -> None:
        """Make all bridges in one transaction and wait until every port works. Raises `NotReady` that names
        what does not."""
        client = self._connected()
        client.transact(transaction(bridges, self.datapath))
        try:
            client.wait_for("Open_vSwitch", {"cur_cfg": 1}, deadline_s)
        except Exception as error:
            raise NotReady(
                f"{self.name}: ovs-vswitchd has not made its {len(bridges)} switches after {deadline_s:g} s: "
                f"{error}; its log ends with:\n{self.daemons[1].last_lines()}"
            ) from error
        bad = [row for row in client.rows("Interface", ("name", "ofport", "error")) if not _works(row)]
        if bad:
            raise NotReady(
                f"{self.name}: ports that do not work: "
                + "; ".join(f"{r['name']}: {r['error']}" for r in bad)
            )

    def link_states(self) -> dict[str, bool]:
        """Interface name to whether Open vSwitch sees carrier on it."""
        rows = self._connected().rows("Interface", ("name", "link_state"))
        return {row["name"]: row["link_state"] == "up" for row in rows}

    def connected_bridges(self) -> set[str]:
        """Bridges whose controller connection is up."""
        client = self._connected()
        up = {
            row["_uuid"][1] for row in client.rows("Controller", ("_uuid",), [["is_connected", "==", True]])
        }
        bridges = client.rows("Bridge", ("name", "controller"))
        return {row["name"] for row in bridges if up & set(_uuids(row["controller"]))}

    def disconnect(self) -> None:
        """Let go of the database. The daemons need no farewell: their namespace goes with them."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connected(self) -> OvsdbClient:
        if self._client is None:
            what = f"{self.name}: ovsdb-server to answer on {self.database_socket}"
            self._client = block_until(self._connect, what=what, deadline_s=START_DEADLINE_S)
        return self._client

    def _connect(self) -> OvsdbClient:
        try:
            return OvsdbClient(self.database_socket)
        except OSError as error:
            for daemon in self.daemons:
                if daemon.returncode is not None:
                    raise NotReady(f"{daemon.name} ended at once:\n{daemon.last_lines()}") from error
            raise


def create_template(path: Path) -> Path:
    """An empty database, made once and copied for each engine."""
    subprocess.run(["ovsdb-tool", "create", str(path), str(SCHEMA)], check=True, capture_output=True)
    return path


def check_target(target: str) -> None:
    """ovs-vswitchd silently ignores a UNIX socket outside its run directory (bridge.c, "due to possibility
    for remote exploit"); say so instead."""
    if target.startswith("unix:") and not target.startswith(f"unix:{RUN_DIR}/"):
        raise ValueError(f"controller target {target}: Open vSwitch connects only to sockets below {RUN_DIR}")


def transaction(bridges: Sequence[Bridge], datapath: Datapath) -> list[Operation]:
    """The one transaction that makes all bridges (pure)."""
    operations: list[Operation] = []
    for b, bridge in enumerate(bridges):
        operations += [
            insert("Interface", f"b{b}i", {"name": bridge.name, "type": "internal"}),
            insert("Port", f"b{b}p", {"name": bridge.name, "interfaces": named(f"b{b}i")}),
        ]
        for p, port in enumerate(bridge.ports):
            interface: dict[str, Any] = {"name": port.interface, "ofport_request": port.number}
            if port.mtu is not None:
                interface["mtu_request"] = port.mtu
            operations.append(insert("Interface", f"b{b}i{p}", interface))
            operations.append(
                insert("Port", f"b{b}p{p}", {**_port_row(port), "interfaces": named(f"b{b}i{p}")})
            )
        row: dict[str, Any] = {
            "name": bridge.name,
            "ports": ovs_set([named(f"b{b}p"), *(named(f"b{b}p{p}") for p in range(len(bridge.ports)))]),
            "datapath_type": "netdev" if datapath == "userspace" else "system",
            "fail_mode": "secure" if bridge.secure else "standalone",
            "protocols": ovs_set(["OpenFlow13", "OpenFlow14", "OpenFlow15"]),
            "other_config": ovs_map({"datapath-id": f"{bridge.dpid:016x}", "disable-in-band": "true"}),
        }
        if bridge.controller:
            target = {"target": bridge.controller, "connection_mode": "out-of-band", "max_backoff": 1000}
            operations.append(insert("Controller", f"b{b}c", target))
            row["controller"] = named(f"b{b}c")
        operations.append(insert("Bridge", f"b{b}", row))
    settings = {"stats-update-interval": "60000"}
    if any(bridge.stacked_tags for bridge in bridges):
        settings["vlan-limit"] = "2"  # by default only the first tag is looked at
    root = {
        "bridges": ovs_set([named(f"b{b}") for b in range(len(bridges))]),
        "next_cfg": 1,
        "other_config": ovs_map(settings),
    }
    operations.append(insert(DATABASE, "root", root))
    return operations


def _port_row(port: BridgePort) -> dict[str, Any]:
    row: dict[str, Any] = {"name": port.interface}
    if port.vlan_mode:
        row["vlan_mode"] = port.vlan_mode
    if port.tag is not None:
        row["tag"] = port.tag
    if port.trunks:
        row["trunks"] = ovs_set(port.trunks)
    return row


def _works(row: dict[str, Any]) -> bool:
    return isinstance(row["ofport"], int) and row["ofport"] > 0


def _uuids(value: Any) -> list[str]:
    """The references in a column that holds one or a set."""
    pairs = value[1] if value[0] == "set" else [value]
    return [pair[1] for pair in pairs]
