"""The media relay of a session controller (C2, C7): rtpengine, forwarding in userspace."""

from __future__ import annotations

from pathlib import Path

from cloud_core.containers import SERVICE_ID, ContainerSpec, Mount
from cloud_core.probes import media_relay_answers
from cloud_core.rendering import render, write_configuration
from cloud_core.service import CloudRun, Service, image
from uclab.plan.schema.plan import SessionController
from uclab.runtime.node import NodeRuntime

NG_PORT = 2223
"""Its control port on 127.0.0.1 of the session controller's namespace."""


def media_relays(run: CloudRun) -> list[Service]:
    """One beside each session controller."""
    return [
        make_media_relay(controller, run.runtimes[controller.node], run.run_dir)
        for controller in run.plan.session_controllers
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
        image=image("rtpengine"),
        arguments=("--config-file=/lab/rtpengine.conf", "--pidfile=/run/rtpengine.pid"),
        namespace=node.namespace_path,
        log=folder / "output.log",
        mounts=(Mount(configuration, "/lab/rtpengine.conf"),),
    )
    return Service(
        spec,
        controller.node,
        lambda: media_relay_answers(node, NG_PORT),
        "pong on the control port",
        on_time=True,
    )
