"""How long a private circuit takes on real switches, from the request to the last answer (W5)."""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from pathlib import Path

from testbed.exchange import CIRCUIT, FABRIC, ExchangeProcess
from testbed.switches import SwitchLab, wait_for

CIRCUITS = 50


def main() -> None:
    """Create, change and remove circuits over three switches; print milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        controller = ExchangeProcess(Path(folder))
        switches = SwitchLab(FABRIC, Path(folder))
        try:
            switches.connect(controller.target)
            wait_for("exchange-ready", lambda: "exchange-ready" in controller.kinds())
            measure(controller)
        finally:
            controller.process.kill()
            switches.close()


def measure(controller: ExchangeProcess) -> None:
    """The table of times."""
    print(f"{CIRCUITS} circuits over 3 switches        median ms   longest ms   (aim < 1000)")
    for verb, method, rate_kbps in (
        ("create", "PUT", 1000),
        ("change rate", "PUT", 2000),
        ("remove", "DELETE", 0),
    ):
        times = []
        for number in range(CIRCUITS):
            body = copy.deepcopy(CIRCUIT) | {"rate_kbps": rate_kbps}
            for end in "ab":
                body[end]["vlan"] = 100 + number
            start = time.perf_counter()
            sent = None if method == "DELETE" else body
            controller.api.request(method, f"/circuits/c{number}", json=sent).raise_for_status()
            times.append((time.perf_counter() - start) * 1000)
        print(f"{verb:<30} {statistics.median(times):>14.1f} {max(times):>12.1f}")


if __name__ == "__main__":
    main()
