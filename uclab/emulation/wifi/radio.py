"""Starts the process that is an access point's air (`uclab.emulation.wifi.air`)."""

from __future__ import annotations

import json
import os
from pathlib import Path

from uclab.emulation.link.impairment import ImpairedDevice, wait_ready
from uclab.emulation.linux import processes
from uclab.emulation.linux.netns import Namespace
from uclab.plan.schema.codec import to_data
from uclab.plan.schema.plan import RadioChannel
from uclab.runtime.installation import module_command


def fill(namespace: Namespace, air: RadioChannel, run_dir: Path) -> ImpairedDevice:
    """Make the air pass frames; returns when it does. Its interfaces must be there. Raises `NotReady`."""
    folder = run_dir / "lines"
    folder.mkdir(parents=True, exist_ok=True)
    account = folder / f"{air.node}.json"
    reader, writer = os.pipe()
    try:
        order = {"air": to_data(air), "account": str(account), "ready_fd": writer}
        daemon = processes.start(
            f"air-{air.access_point}",
            module_command("uclab.emulation.wifi.air"),
            log=folder / f"{air.node}.log",
            namespace=namespace,
            pass_fds=(writer,),
            stdin=json.dumps(order).encode(),
        )
        os.close(writer)
        wait_ready(reader, daemon)
    finally:
        os.close(reader)
    return ImpairedDevice(namespace, "userspace", (), account, daemon)
