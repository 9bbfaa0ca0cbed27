"""The controller of one site's switches, an os-ken application in a process of its own (D2).

`python -m controllers.voice_fabric --fabric FABRIC.json --listen unix:PATH --events EVENTS.jsonl`

FABRIC.json is a `SiteFabric` as `uclab.plan.schema.codec` writes it. The events file says what happens;
`fabric-ready` is the sign that every switch has acknowledged its whole table. Ends cleanly on
SIGTERM; switches keep their tables.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from os_ken import cfg
from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller import ofp_event
from os_ken.controller.handler import DEAD_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3 as ofp

from controllers import openflow
from controllers.connections import Handshakes, Listener
from controllers.fabric_controller import FabricController, Order, Replace
from controllers.reports import Reporter
from controllers.session import Session
from uclab.plan.lan.spanning_trees import FabricError
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import SiteFabric
from uclab.records.run import Event


class VoiceFabric(OSKenApp):
    """Carries the conductor's orders to the switches and the switches' news to the conductor.

    os-ken calls the handlers one after the other in one thread.
    """

    OFP_VERSIONS = (ofp.OFP_VERSION,)

    def __init__(self, fabric: SiteFabric, events: TextIO) -> None:
        super().__init__()
        self._conductor = FabricController(fabric)
        self._reporter = Reporter(fabric)
        self._events = events
        self._generations = itertools.count(random.getrandbits(openflow.GENERATION_BITS))
        self._connections: dict[int, Session] = {}

    def prepare(self) -> None:
        """Make all messages once before switches wait for them; they are kept (`controllers.openflow`)."""
        for table in self._conductor.compiled.tables.values():
            for _ in openflow.table_messages(table, generation=0):
                pass

    @set_ev_cls(ofp_event.EventOFPStateChange, [MAIN_DISPATCHER, DEAD_DISPATCHER])
    def state_changed(self, event: Any) -> None:
        """A switch has finished its handshake, or has gone."""
        connection = event.datapath
        if event.state == MAIN_DISPATCHER:
            self._connected(connection)
        elif self._session(connection) is not None:
            del self._connections[connection.id]
            self._carry_out(self._conductor.disconnected(connection.id))

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def port_changed(self, event: Any) -> None:
        """A port was added, removed, or its link went or came."""
        message = event.msg
        if self._session(message.datapath) is not None:
            live = message.reason != ofp.OFPPR_DELETE and openflow.is_live(message.desc)
            self._carry_out(self._conductor.port_changed(message.datapath.id, message.desc.port_no, live))

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def barrier_passed(self, event: Any) -> None:
        """A switch has done what it was told."""
        session = self._session(event.msg.datapath)
        if session is not None and session.pending == event.msg.xid:
            session.acknowledged()
            self._carry_out(self._conductor.acknowledged(event.msg.datapath.id))

    @set_ev_cls(ofp_event.EventOFPErrorMsg, MAIN_DISPATCHER)
    def refused(self, event: Any) -> None:
        """A switch refuses a message."""
        message = event.msg
        session = self._session(message.datapath)
        if session is None or openflow.is_harmless(message.type, message.code):
            return
        about = session.sent.get(message.xid, "a message")
        what = f"error type {message.type} code {message.code} for {about}"
        self._carry_out(self._conductor.rejected(message.datapath.id, what))

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def frame_reported(self, event: Any) -> None:
        """A switch has dropped a frame that should not have been sent."""
        message = event.msg
        switch = self._conductor.name(message.datapath.id)
        if switch is not None:
            purpose = openflow.purpose_of(message.cookie)
            self._write(
                self._reporter.dropped(switch, message.match["in_port"], purpose, bytes(message.data))
            )

    def _connected(self, connection: Any) -> None:
        if self._conductor.name(connection.id) is None:
            self._write([Event(time.time(), f"{connection.id:#x}", "unknown-switch", "not of this site")])
            connection.close()
            return
        self._connections[connection.id] = Session(connection)
        live = [number for number, port in connection.ports.items() if openflow.is_live(port)]
        self._carry_out(self._conductor.connected(connection.id, live))

    def _session(self, connection: Any) -> Session | None:
        """The session of a connection that is still the switch's present one."""
        session = self._connections.get(connection.id)
        return session if session is not None and session.connection is connection else None

    def _carry_out(self, orders: Iterable[Order]) -> None:
        for order in orders:
            if isinstance(order, Event):
                self._write([order])
            elif (session := self._connections.get(order.dpid)) is not None:
                if isinstance(order, Replace):
                    session.generation = next(self._generations) % (1 << openflow.GENERATION_BITS)
                    session.send(openflow.table_messages(order.table, session.generation))
                else:
                    session.send(openflow.change_messages(order.change, session.generation))

    def _write(self, events: Iterable[Event]) -> None:
        for event in events:
            self._events.write(json.dumps(asdict(event)) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT. Exit status 2 where the fabric or an argument is wrong."""
    parser = argparse.ArgumentParser(prog="controllers.voice_fabric", description=__doc__.partition("\n")[0])
    parser.add_argument("--fabric", type=Path, required=True, help="SiteFabric as JSON")
    parser.add_argument("--listen", required=True, help="unix:PATH or tcp:ADDRESS:PORT")
    parser.add_argument(
        "--events", type=Path, required=True, help="file to append events to, one JSON object a line"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        fabric = from_data(SiteFabric, json.loads(options.fabric.read_text(encoding="utf-8")))
        with options.events.open("a", encoding="utf-8", buffering=1) as events:
            run(fabric, options.listen, events, signals)
    except (FabricError, ValueError, OSError) as error:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def run(fabric: SiteFabric, listen: str, events: TextIO, until: set[signal.Signals]) -> None:
    """Serve the site's switches until one of the (blocked) signals comes."""
    cfg.CONF([], project="uclab", default_config_files=[])
    applications = AppManager.get_instance()
    handshakes = applications.instantiate(Handshakes)
    application = applications.instantiate(VoiceFabric, fabric, events)
    application.prepare()
    for app in (handshakes, application):
        app.start()
    try:
        listener = Listener(listen)
        events.write(
            json.dumps(asdict(Event(time.time(), fabric.site, "controller-listening", listen))) + "\n"
        )
        signal.sigwait(until)
        listener.close()
    finally:
        for app in (handshakes, application):
            app.stop()


if __name__ == "__main__":
    sys.exit(main())
