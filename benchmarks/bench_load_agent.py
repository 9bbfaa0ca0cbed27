"""The load agent against SIPp: registrations and calls a second on the same core, and SRTP calls at once.

    sudo .venv/bin/python -m benchmarks.bench_load_agent [--small] [--json FILE]

Both send from core 0; the other side is the same for both, on core 1: Kamailio as registrar (every
registration challenged once), SIPp's own `uas` as answering side, 50 at once over UDP. In turn, `--rounds`
times; medians of how many each does in a second, and in a second of its own processor time, which other work
on the machine changes less. Then what SIPp does not do: calls over verified TLS with SRTP that is heard
before hanging up, and ever more of them side by side until packets are lost, or one in twenty leaves more
than 5 ms late. Everything in a network namespace of its own, on its loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench_emulation import UNSHARE
from cloud_core.authority import Certificates, issue
from uclab.plan.schema.plan import Certificate
from uclab.runtime.readiness import block_until

FILES = Path(__file__).with_name("sipp")
DEVICE_ROOT = Path("/var/lib/uclab/images/device/rootfs")
REGISTRAR_IMAGE = "localhost/uclab/kamailio:latest"
ADDRESS = "127.0.0.1"
REGISTRAR_PORT, ANSWERING_PORT, SIPP_PORT = 5060, 5070, 5080
AT_ONCE = 50
STEPS = (25, 50, 100, 150, 200, 300)
AIM = 0.5
"""Of SIPp's rate."""
TOO_LATE = 0.05
"""Share of packets that leave late, from which on more calls are not tried."""
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Rate:
    """What one did."""

    who: str
    what: str
    done: int
    took_s: float
    processor_s: float

    @property
    def by_wall(self) -> float:
        """A second."""
        return self.done / self.took_s

    @property
    def by_processor(self) -> float:
        """In a second of processor time."""
        return self.done / self.processor_s


def on_core(core: int, *argv: str) -> list[str]:
    """The command, kept to one core where there are several."""
    return ["taskset", "--cpu-list", str(core % (os.cpu_count() or 1)), *argv]


def sipp(core: int, *arguments: str) -> list[str]:
    """SIPp of the device image."""
    return on_core(core, "chroot", str(DEVICE_ROOT), "sipp", "-nostdin", "-i", ADDRESS, *arguments)


def work(core: int, *arguments: str) -> list[str]:
    """A process of the load agent's."""
    return on_core(core, sys.executable, "-m", "benchmarks.load_work", *arguments)


@contextmanager
def running(argv: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A process for the length of a `with`."""
    process = subprocess.Popen(argv, text=True, stdin=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_udp(port: int) -> None:
    """Until somebody has bound that port."""
    wanted = f":{port:04X} "

    def bound() -> bool | None:
        return wanted in Path("/proc/net/udp").read_text() or None

    block_until(bound, what=f"UDP port {port}", deadline_s=10.0, every_s=0.02)


@contextmanager
def registrar() -> Iterator[None]:
    """Kamailio, from the cloud's own image."""
    mounted = subprocess.run(
        ["podman", "image", "mount", REGISTRAR_IMAGE], check=True, text=True, capture_output=True
    ).stdout.strip()
    for folder in ("tmp", "run", "dev"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", f"{mounted}/{folder}"], check=True)
    subprocess.run(["mount", "--bind", "/dev", f"{mounted}/dev"], check=True)
    Path(mounted, "tmp/registrar.cfg").write_text((FILES / "registrar.cfg").read_text())
    argv = ["chroot", mounted, "kamailio", "-DD", "-E", "-m", "256", "-f", "/tmp/registrar.cfg"]
    with running(on_core(1, *argv), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        wait_for_udp(REGISTRAR_PORT)
        yield


@contextmanager
def answering() -> Iterator[None]:
    """SIPp's answering side."""
    with running(
        sipp(1, "-sn", "uas", "-p", str(ANSWERING_PORT)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ):
        wait_for_udp(ANSWERING_PORT)
        yield


def sipp_rate(what: str, count: int, port: int, *scenario: str) -> Rate:
    """SIPp does it `count` times."""
    limits = ("-l", str(AT_ONCE), "-r", "50000", "-rp", "1000", "-m", str(count), "-p", str(SIPP_PORT))
    argv = sipp(0, f"{ADDRESS}:{port}", *scenario, *limits)
    began = time.monotonic()
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        assert process.stderr
        raise RuntimeError(f"SIPp ended with {process.returncode}: {process.stderr.read()[-400:]}")
    return Rate("SIPp", what, count, time.monotonic() - began, used.ru_utime + used.ru_stime)


def agent_rate(what: str, *arguments: str) -> Rate:
    """The load agent does it."""
    argv = work(0, *arguments, "--at-once", str(AT_ONCE))
    done = subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, timeout=DEADLINE_S)
    figures = json.loads(done.stdout)
    if figures["failed"]:
        raise RuntimeError(f"{what}: {figures['failed']}")
    return Rate("load agent", what, figures["done"], figures["took_s"], figures["processor_s"])


def compare(count: int, rounds: int) -> list[Rate]:
    """Registrations and calls without media, in turn."""
    rates = []
    with registrar():
        (DEVICE_ROOT / "tmp").mkdir(exist_ok=True)
        scenario = f"/tmp/bench-register-{os.getpid()}.xml"
        copied = DEVICE_ROOT / scenario[1:]
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(DEVICE_ROOT / "tmp")], check=True)
        copied.write_text((FILES / "register.xml").read_text())
        for _ in range(rounds):
            rates.append(sipp_rate("registrations", count, REGISTRAR_PORT, "-sf", scenario))
            rates.append(
                agent_rate("registrations", "register", "--port", str(REGISTRAR_PORT), "--count", str(count))
            )
    with answering():
        for _ in range(rounds):
            rates.append(sipp_rate("calls", count, ANSWERING_PORT, "-sn", "uac", "-d", "0"))
            rates.append(agent_rate("calls", "call", "--port", str(ANSWERING_PORT), "--count", str(count)))
    return rates


@contextmanager
def answering_agent(certificates: Certificates) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The load agent as answering side over TLS: its port, and its process."""
    issued = certificates.issued["bench"]
    files = ("--certificate", str(issued.certificate), "--key", str(issued.key))
    with running(work(1, "answer", "--transport", "tls", *files), stdout=subprocess.PIPE) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["port"], process


def encrypted(count: int, steps: Sequence[int], seconds: float) -> tuple[Rate, list[dict[str, Any]]]:
    """Calls a second over verified TLS with SRTP; then calls side by side, until it is too many."""
    with tempfile.TemporaryDirectory() as folder:
        certificates = issue([Certificate("bench", ("bench.test",), ())], Path(folder))
        trusted = ("--transport", "tls", "--ca", str(certificates.trusted))
        with answering_agent(certificates) as (port, _):
            rate = agent_rate(
                "calls, TLS and SRTP", "call", *trusted, "--port", str(port), "--count", str(count)
            )
        talks = []
        for step in steps:
            with answering_agent(certificates) as (port, other):
                options = ("--port", str(port), "--count", str(step), "--seconds", str(seconds))
                argv = work(0, "talk", *trusted, *options)
                done = subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, timeout=DEADLINE_S)
                other.terminate()
                talk = json.loads(done.stdout) | {"other_side": json.loads(other.communicate()[0])}
            talks.append(talk)
            if talk["lost"] or talk["other_side"]["lost"] or talk["late"] > TOO_LATE * talk["packets"]:
                break
    return rate, talks


def show(rates: Sequence[Rate], talks: Sequence[dict[str, Any]]) -> None:
    """The tables."""
    print("                                   a second     in a second of processor time")
    for what in dict.fromkeys(rate.what for rate in rates):
        medians = {}
        for who in dict.fromkeys(rate.who for rate in rates if rate.what == what):
            own = [rate for rate in rates if (rate.what, rate.who) == (what, who)]
            wall = statistics.median(rate.by_wall for rate in own)
            used = statistics.median(rate.by_processor for rate in own)
            medians[who] = (wall, used)
            print(f"{what:<20} {who:<12} {wall:>10.0f} {used:>14.0f}")
        if len(medians) == 2:
            ratios = [
                mine / other for mine, other in zip(medians["load agent"], medians["SIPp"], strict=True)
            ]
            words = ", ".join("met" if ratio >= AIM else "missed" for ratio in ratios)
            print(f"{'':<20} {'ratio':<12} {ratios[0]:>10.2f} {ratios[1]:>14.2f}   (aim {AIM:g}: {words})")
    print("\nSRTP calls   packets   lost   late > 5 ms   latest ms   failed tags   % of a core   % a call")
    for talk in talks:
        print(
            f"{talk['calls']:>10} {talk['packets']:>9} {talk['lost']:>6} {talk['late']:>13} "
            f"{talk['latest_ms']:>11.1f} {talk['failures']:>13} {talk['processor_pct']:>13.0f} "
            f"{talk['processor_pct'] / talk['calls']:>10.3f}"
        )
    clean = [t["calls"] for t in talks if not t["lost"] + t["other_side"]["lost"] + t["late"]]
    print(f"without a packet lost or more than 5 ms late: {max(clean, default=0)} calls at once")


def main(argv: Sequence[str] | None = None) -> None:
    """In namespaces of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true", help="does the benchmark work?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs="+", help="calls side by side")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if not options.inside:
        given = list(sys.argv[1:] if argv is None else argv)
        command = [*UNSHARE, sys.executable, "-m", "benchmarks.bench_load_agent", "--inside", *given]
        subprocess.run(command, check=True)
        return
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    small = options.small
    print(f"load before {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores", flush=True)
    rates = compare(500 if small else 10000, 1 if small else options.rounds)
    steps = options.steps or ((4,) if small else STEPS)
    rate, talks = encrypted(20 if small else 1000, steps, 2.0 if small else 20.0)
    show([*rates, rate], talks)
    if options.json:
        options.json.write_text(
            json.dumps({"rates": [asdict(r) for r in (*rates, rate)], "talks": talks}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
