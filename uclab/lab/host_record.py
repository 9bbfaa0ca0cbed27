"""What a run remembers of the machine that it ran on."""

from __future__ import annotations

import json
import os
from pathlib import Path

from uclab.emulation.ovs.backends import Variants


def write_host_record(run_dir: Path, variants: Variants) -> None:
    """`host.json`: the machine and the variants that this lab ran on."""
    machine = os.uname()
    record = {
        "kernel": machine.release,
        "machine": machine.machine,
        "cores": os.cpu_count(),
        "variants": variants.as_record(),
    }
    (run_dir / "host.json").write_text(json.dumps(record, indent=1) + "\n")
