"""The session controller (C1, C9, C10): Kamailio as registrar, proxy and SBC, over TLS alone."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path

from cloud_core.authority import Certificates
from cloud_core.containers import SERVICE_ID, ContainerSpec, Mount
from cloud_core.media_relay import NG_PORT, relay_name
from cloud_core.probes import session_controller_answers
from cloud_core.rendering import render, write_configuration
from cloud_core.service import CloudRun, Service, image
from cloud_core.waiting_messages import FILE, Waiting, prepare_waiting
from uclab.plan.schema.plan import Account, SessionController
from uclab.runtime.node import NodeRuntime

REGISTRATION_S = 300
"""Longest registration: phones refresh every 4 to 5 minutes (provider policy, NAT)."""
LEAST_CONNECTIONS = 2048
"""Connections that a session controller takes, however few its accounts."""
BUSY_ADDRESSES = 2
"""So many addresses may open all that one may, without a phone's losing its place."""
OTHER_DESCRIPTORS = 256
"""Kamailio's own files and sockets, beside one descriptor for each connection."""
CONNECTION_KIB = 128
"""Shared memory of an idle TLS connection (OpenSSL 3, Kamailio 6.0) and of what it has to say."""


def session_controllers(run: CloudRun) -> list[Service]:
    """All of the cloud's."""
    plain = frozenset(e.account.user for e in run.plan.endpoints if e.media_encryption == "none")
    return [
        make_session_controller(
            controller, run.runtimes[controller.node], run.run_dir, run.certificates, plain
        )
        for controller in run.plan.session_controllers
    ]


def make_session_controller(
    controller: SessionController,
    node: NodeRuntime,
    run_dir: Path,
    certificates: Certificates,
    plain_media: frozenset[str] = frozenset(),
) -> Service:
    """Kamailio with its accounts; `plain_media` are the users whose media may be so (drills only)."""
    name = f"{controller.name}-kamailio"
    folder = run_dir / "services" / name
    paths = {
        "tls_config": "/lab/tls.cfg",
        "certificate": "/pki/certificate.pem",
        "key": "/pki/key.pem",
        "trusted": "/pki/ca.pem",
        "waiting": f"/waiting/{FILE}",
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
        partners=[peer["host_name"] for peer in (trunk,) if peer]
        + [peer.host_name for peer in controller.peers],
        ng_port=NG_PORT,
        registration_s=REGISTRATION_S,
        connections=most_connections(controller, allowed_descriptors()),
        other_descriptors=OTHER_DESCRIPTORS,
        limits=controller.protection,
        waiting=Waiting(),
    )
    tls = render("kamailio/tls.cfg.j2", controller=controller, paths=paths)
    issued = certificates.issued[controller.certificate]
    key_log = prepare_key_log(run_dir)
    spec = ContainerSpec(
        name=name,
        image=image("kamailio"),
        arguments=(
            "-DD",
            "-E",
            "-f",
            "/lab/kamailio.cfg",
            "-m",
            str(memory_mib(controller)),
            "-M",
            str(own_memory_mib(controller)),
            "-Y",
            "/run",
            "-w",
            "/tmp",
        ),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(
            Mount(write_configuration(folder / "kamailio.cfg", main, group=SERVICE_ID), "/lab/kamailio.cfg"),
            Mount(write_configuration(folder / "tls.cfg", tls, group=SERVICE_ID), "/lab/tls.cfg"),
            Mount(issued.certificate, paths["certificate"]),
            Mount(issued.key, paths["key"]),
            Mount(certificates.trusted, paths["trusted"]),
            Mount(key_log, "/keys/tls.keylog", writable=True),
            Mount(prepare_waiting(folder), "/waiting", writable=True),
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
        after=relay_name(controller),
    )


def most_connections(controller: SessionController, descriptors: int | None = None) -> int:
    """Connections that there is room for: all accounts', and some addresses' that open all they may; not more
    than a process may have descriptors."""
    limits = controller.protection
    each, busy = (limits.connections_per_account, limits.connections) if limits is not None else (2, 0)
    wanted = max(LEAST_CONNECTIONS, each * len(controller.accounts) + BUSY_ADDRESSES * busy)
    return wanted if descriptors is None else min(wanted, descriptors - OTHER_DESCRIPTORS)


def allowed_descriptors() -> int | None:
    """How many a process of this machine may have open at most; None: as many as it likes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if most == resource.RLIM_INFINITY else most


def memory_mib(controller: SessionController) -> int:
    """Kamailio's shared memory: every TLS connection has its buffers there. Only what is used is taken."""
    return 64 + most_connections(controller) * CONNECTION_KIB // 1024


def own_memory_mib(controller: SessionController) -> int:
    """Memory of each of Kamailio's processes: its configuration lies there, 13 kB for each account."""
    return 8 + len(controller.accounts) // 60


def subscriber(account: Account, plain_media: bool) -> dict[str, object]:
    """An account as Kamailio keeps it: in place of the password its HA1 (RFC 2617 section 3.2.2.2)."""
    return {
        "user": account.user,
        "secret": hashlib.md5(f"{account.user}:{account.domain}:{account.password}".encode()).hexdigest(),
        "e164": account.e164,
        "plain_media": plain_media,
    }


def prepare_key_log(run_dir: Path) -> Path:
    """`keys/tls.keylog`, there before the first session, writable by the session controller alone."""
    path = run_dir / "keys" / "tls.keylog"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    os.chown(path, SERVICE_ID, -1)
    return path
