"""The cloud's services: what each is made of, and what has to be true before it counts as running.

A service is a contract: files, container, readiness check, stop. All start side by side, a session controller after its
media relay; `start_cloud` returns when every one has answered in its own protocol.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud_core.authority import Certificates
from cloud_core.containers import SERVICE_ID, Container, ContainerSpec, Mount, Podman
from cloud_core.node import ContainerRuntime
from cloud_core.probes import Probe, media_relay_answers, name_server_answers, session_controller_answers
from cloud_core.rendering import render, write_configuration
from uclab.plan.readiness import wait_until
from uclab.plan.runtime import NodeRuntime, NotReady
from uclab.plan.types import Account, NameServer, Plan, SessionController

IMAGE = "localhost/uclab/{service}:latest"
NG_PORT = 2223
"""rtpengine's control port on 127.0.0.1 of the session controller's namespace."""
REGISTRATION_S = 300
"""Longest registration: phones refresh every 4 to 5 minutes (facts: provider policy, NAT)."""
DNS_TTL_S = 60
READY_S = 60.0
"""Deadline of every readiness check; generous, because an emulated machine is ten times slower."""
LAST_LINES = 12


@dataclass(frozen=True)
class Service:
    """A container and the question that it has to answer."""

    spec: ContainerSpec
    node: str
    probe: Probe
    waits_for: str
    """What the readiness check waits for, as the error says it."""
    after: str | None = None
    """Service that has to be ready before this one is started."""


@dataclass(frozen=True)
class RunningService:
    """A service that has answered."""

    name: str
    node: str
    container: Container
    answer: str
    """What the probe got, e.g. the TLS version."""
    ready_s: float
    """From the call of `start_cloud`."""


@dataclass(frozen=True)
class RunningCloud:
    """The cloud while it runs."""

    services: tuple[RunningService, ...]
    pstn: Mapping[str, NodeRuntime]
    """For each PSTN peer the device to start its endpoint on: programs spawned there run in a container."""

    @property
    def processes(self) -> tuple[tuple[str, asyncio.subprocess.Process, Path], ...]:
        """Name, process and log of each service: what has to be watched."""
        return tuple((s.name, s.container.process, s.container.log) for s in self.services)

    async def stop(self) -> None:
        """End all services in order; only needed where the lab's namespaces go on living."""
        await asyncio.gather(*(service.container.stop() for service in self.services))


async def start_cloud(
    plan: Plan,
    runtimes: Mapping[str, NodeRuntime],
    run_dir: Path,
    podman: Podman,
    certificates: Certificates,
) -> RunningCloud:
    """Start name servers, session controllers and their media relays, and wait until each answers.

    `runtimes` by node name. Writes `services/<name>/` and `keys/tls.keylog` below `run_dir`. Raises `NotReady` that names the
    service, what was last seen and its last log lines; what was started by then is stopped again.
    """
    began = time.monotonic()
    services = make_services(plan, runtimes, run_dir, certificates)
    starting = {
        service.spec.name: asyncio.create_task(_start(service, podman, began))
        for service in services
        if not service.after
    }
    for service in services:
        if service.after:
            before = starting[service.after]
            starting[service.spec.name] = asyncio.create_task(_start(service, podman, began, before))
    try:
        running = await asyncio.gather(*starting.values())
    except BaseException:
        for task in starting.values():
            task.cancel()
        outcomes = await asyncio.gather(*starting.values(), return_exceptions=True)
        await asyncio.gather(*(o.container.stop() for o in outcomes if isinstance(o, RunningService)))
        raise
    pstn = {
        peer.name: ContainerRuntime(runtimes[peer.node], podman, IMAGE.format(service="pstn"))
        for peer in plan.pstn_peers
    }
    return RunningCloud(tuple(running), pstn)


def make_services(
    plan: Plan, runtimes: Mapping[str, NodeRuntime], run_dir: Path, certificates: Certificates
) -> list[Service]:
    """Write the configuration of all services of `plan` and say how they are run."""
    plain = frozenset(e.account.user for e in plan.endpoints if e.media_encryption == "none")
    services = [make_name_server(server, runtimes[server.node], run_dir) for server in plan.name_servers]
    for controller in plan.session_controllers:
        node = runtimes[controller.node]
        if controller.anchor_media:
            services.append(make_media_relay(controller, node, run_dir))
        services.append(make_session_controller(controller, node, run_dir, certificates, plain))
    return services


def make_name_server(server: NameServer, node: NodeRuntime, run_dir: Path) -> Service:
    """unbound with the plan's records."""
    folder = run_dir / "services" / server.name
    text = render("dns/unbound.conf.j2", server=server, records=zone_records(server), ttl_s=DNS_TTL_S)
    configuration = write_configuration(folder / "unbound.conf", text, group=SERVICE_ID)
    spec = ContainerSpec(
        name=server.name,
        image=IMAGE.format(service="dns"),
        arguments=("-d", "-p", "-c", "/lab/unbound.conf"),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(Mount(configuration, "/lab/unbound.conf"),),
        capabilities=("NET_BIND_SERVICE",),
    )
    return Service(spec, server.node, lambda: name_server_answers(node, server), "answer to a DNS query")


def zone_records(server: NameServer) -> list[dict[str, str]]:
    """The plan's records as a zone file writes them: host names are absolute (RFC 1035 section 5.1)."""
    return [
        {
            "name": record.name.rstrip("."),
            "type": record.type,
            "value": record.value.rstrip(".") + "." if record.type == "SRV" else record.value,
        }
        for record in server.records
    ]


def relay_name(controller: SessionController) -> str:
    """Name of the controller's media relay as a service."""
    return f"{controller.name}-rtpengine"


def make_media_relay(controller: SessionController, node: NodeRuntime, run_dir: Path) -> Service:
    """rtpengine beside its session controller."""
    name = relay_name(controller)
    folder = run_dir / "services" / name
    text = render("rtpengine/rtpengine.conf.j2", controller=controller, ng_port=NG_PORT)
    configuration = write_configuration(folder / "rtpengine.conf", text, group=SERVICE_ID)
    spec = ContainerSpec(
        name=name,
        image=IMAGE.format(service="rtpengine"),
        arguments=("--config-file=/lab/rtpengine.conf", "--pidfile=/run/rtpengine.pid"),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(Mount(configuration, "/lab/rtpengine.conf"),),
    )
    return Service(
        spec, controller.node, lambda: media_relay_answers(node, NG_PORT), "pong on the control port"
    )


def make_session_controller(
    controller: SessionController,
    node: NodeRuntime,
    run_dir: Path,
    certificates: Certificates,
    plain_media: frozenset[str] = frozenset(),
) -> Service:
    """Kamailio with its accounts; `plain_media` are the users whose media may be unencrypted (drills only)."""
    name = f"{controller.name}-kamailio"
    folder = run_dir / "services" / name
    paths = {
        "tls_config": "/lab/tls.cfg",
        "certificate": "/pki/certificate.pem",
        "key": "/pki/key.pem",
        "trusted": "/pki/ca.pem",
    }
    trunk = (
        {"host_name": controller.trunk_peer[0], "port": controller.trunk_peer[1]}
        if controller.trunk_peer
        else None
    )
    main = render(
        "kamailio/kamailio.cfg.j2",
        controller=controller,
        paths=paths,
        ports=(*controller.tls_ports, controller.trunk_port),
        subscribers=[subscriber(account, account.user in plain_media) for account in controller.accounts],
        trunk=trunk,
        ng_port=NG_PORT,
        registration_s=REGISTRATION_S,
    )
    tls = render("kamailio/tls.cfg.j2", controller=controller, paths=paths)
    issued = certificates.issued[controller.certificate]
    key_log = prepare_key_log(run_dir)
    spec = ContainerSpec(
        name=name,
        image=IMAGE.format(service="kamailio"),
        arguments=("-DD", "-E", "-f", "/lab/kamailio.cfg", "-m", "64", "-M", "8", "-Y", "/run", "-w", "/tmp"),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(
            Mount(write_configuration(folder / "kamailio.cfg", main, group=SERVICE_ID), "/lab/kamailio.cfg"),
            Mount(write_configuration(folder / "tls.cfg", tls, group=SERVICE_ID), "/lab/tls.cfg"),
            Mount(issued.certificate, paths["certificate"]),
            Mount(issued.key, paths["key"]),
            Mount(certificates.trusted, paths["trusted"]),
            Mount(key_log, "/keys/tls.keylog", writable=True),
        ),
        environment=(
            ("LD_PRELOAD", "/usr/local/lib/libsslkeylog.so"),
            ("UCLAB_TLS_KEYLOG", "/keys/tls.keylog"),
        ),
        nameservers=node.nameservers,
        # Kamailio looks its own name up while it starts, and DNS may not be there yet: 5 s lost.
        hosts=((controller.host_name, controller.address),),
    )
    port = controller.tls_ports[0]
    return Service(
        spec,
        controller.node,
        lambda: session_controller_answers(node, controller, port),
        f"TLS handshake and answer to OPTIONS on port {port}",
        # Kamailio gives a relay up that does not answer while it starts.
        after=relay_name(controller) if controller.anchor_media else None,
    )


def subscriber(account: Account, plain_media: bool) -> dict[str, object]:
    """An account as Kamailio keeps it: in place of the password its HA1 (RFC 2617 section 3.2.2.2)."""
    return {
        "user": account.user,
        "secret": hashlib.md5(f"{account.user}:{account.domain}:{account.password}".encode()).hexdigest(),
        "e164": account.e164,
        "plain_media": plain_media,
    }


def prepare_key_log(run_dir: Path) -> Path:
    """`keys/tls.keylog`, there before the first session, writable by the session controller and nobody else."""
    path = run_dir / "keys" / "tls.keylog"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    os.chown(path, SERVICE_ID, -1)
    return path


async def _start(
    service: Service, podman: Podman, began: float, before: asyncio.Task[RunningService] | None = None
) -> RunningService:
    """Start a service, once `before` is ready, and wait for its answer; it is stopped again if that does not come."""
    if before:
        await asyncio.shield(before)
    container = await podman.run(service.spec)
    try:
        answer = await _answer(service, container)
    except BaseException:
        await container.stop()
        raise
    return RunningService(service.spec.name, service.node, container, answer, time.monotonic() - began)


async def _answer(service: Service, container: Container) -> str:
    """What the probe got; `NotReady` at once when the container ends before."""
    name = service.spec.name
    answering = asyncio.ensure_future(
        wait_until(service.probe, what=f"service `{name}`: {service.waits_for}", deadline_s=READY_S)
    )
    ending = asyncio.ensure_future(container.process.wait())
    try:
        await asyncio.wait({answering, ending}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            return answering.result()
        raise NotReady(f"service `{name}` ended with status {ending.result()} while it started")
    except NotReady as failure:
        raise NotReady(f"{failure}; its log ends:\n{last_lines(container.log)}") from None
    finally:
        answering.cancel()
        ending.cancel()
        await asyncio.gather(answering, ending, return_exceptions=True)


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """The end of a log file."""
    lines: Sequence[str] = log.read_text(errors="replace").splitlines() if log.exists() else ()
    return "\n".join(lines[-count:]) or "(nothing)"
