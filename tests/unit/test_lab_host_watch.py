"""The watch on the machine that a lab runs on: by a /proc of the test's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from uclab.doctor.busy import Busyness, busyness
from uclab.lab.host_watch import HostWatch, ProcessorWaits, pressure_s, stolen_s
from uclab.plan.schema.codec import from_data
from uclab.records.host_pressure import FILE, HostSample


def process(proc: Path, pid: int, argv: list[str], waited_ms: dict[int, float], comm: str = "") -> int:
    """A process with threads that have waited for so long; returns the inode of its namespace."""
    space = proc / str(pid) / "ns" / "net"
    if not space.exists():
        space.parent.mkdir(parents=True)
        space.touch()
    (proc / str(pid) / "comm").write_text((comm or argv[0].rpartition("/")[2]) + "\n")
    (proc / str(pid) / "cmdline").write_text("\0".join(argv) + "\0")
    for thread, ms in waited_ms.items():
        (proc / str(pid) / "task" / str(thread)).mkdir(parents=True, exist_ok=True)
        (proc / str(pid) / "task" / str(thread) / "schedstat").write_text(f"5000 {round(ms * 1e6)} 7\n")
    return space.stat().st_ino


@pytest.mark.req("D4")
def test_a_program_has_waited_for_as_long_as_the_worst_of_its_threads(tmp_path: Path) -> None:
    # given two programs in two namespaces, and one of the lab's own
    desk1 = process(tmp_path, 10, ["/usr/bin/baresip", "-f", "x"], {10: 100, 11: 40})
    edge = process(tmp_path, 20, ["/usr/bin/python3.11", "-m", "uclab.emulation.link.delay_line"], {20: 7})
    process(tmp_path, 30, ["python3", "-m", "uclab.lab.supervisor", "lab", "4"], {30: 1}, comm="python3")
    waits = ProcessorWaits(lambda: {desk1: "desk1", edge: "edge"}, tmp_path)
    waits.look()
    # when they wait
    process(tmp_path, 10, ["/usr/bin/baresip", "-f", "x"], {10: 130, 11: 400, 12: 900})
    process(tmp_path, 20, ["/usr/bin/python3.11", "-m", "uclab.emulation.link.delay_line"], {20: 17})
    # then the waits since the last look are told by node and program; a new thread has no look before
    assert waits.look() == {
        ("desk1", "baresip"): 360.0,
        ("edge", "delay_line"): 10.0,
        ("", "supervisor"): 0.0,
    }


@pytest.mark.req("D4")
def test_a_process_is_known_by_what_it_has_become_and_by_a_namespace_that_is_named_later(
    tmp_path: Path,
) -> None:
    # given a process that is looked at before it has become a phone, in a lab whose nodes are not known yet
    spaces: dict[int, str] = {}
    waits = ProcessorWaits(lambda: spaces, tmp_path)
    space = process(tmp_path, 10, ["python3", "-m", "uclab.lab.supervisor"], {10: 0})
    waits.look()
    process(tmp_path, 10, ["/usr/bin/baresip"], {10: 50})
    spaces[space] = "desk1"
    assert waits.look() == {("desk1", "baresip"): 50.0}


@pytest.mark.req("D4")
def test_a_process_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    process(tmp_path, 10, ["x"], {10: 1})
    waits = ProcessorWaits(dict, tmp_path)
    waits.look()
    (tmp_path / "10" / "task" / "10" / "schedstat").unlink()
    assert waits.look() == {}


def test_what_the_kernel_tells_of_the_processors_is_read(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 0 100 600 0 0 0 200 0 0\ncpu0 1 2 3\n")
    assert pressure_s(tmp_path) is None
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "cpu").write_text("some avg10=35.19 avg60=1.00 avg300=1.00 total=2500000\n")
    assert pressure_s(tmp_path) == 2.5
    stolen, all_ = stolen_s(tmp_path)
    assert stolen / all_ == 0.2


@pytest.mark.req("D4")
def test_the_watch_leaves_a_record_without_starting_a_program(tmp_path: Path) -> None:
    watch = HostWatch(tmp_path, dict)
    watch.start()
    watch.stop()
    samples = [from_data(HostSample, json.loads(line)) for line in (tmp_path / FILE).read_text().splitlines()]
    assert samples
    assert all(sample.begin < sample.end for sample in samples)


@pytest.mark.parametrize(
    ("seen", "busy"),
    [
        (Busyness(2, 5.0, 3.0), False),
        (Busyness(2, 0.3, 60.0), True),
        (Busyness(2, 1.9, None), False),
        (Busyness(2, 2.4, None), True),
    ],
)
def test_a_busy_machine_is_told_before_a_lab_starts(seen: Busyness, busy: bool) -> None:
    words = seen.warning()
    assert (words is not None) == busy
    if words:
        assert f"load {seen.load:.1f} on 2 cores" in words
        assert "run fewer labs at once" in words


def test_how_busy_the_machine_is_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "loadavg").write_text("14.40 3.00 1.00 3/400 4711\n")
    assert (busyness(tmp_path).load, busyness(tmp_path).pressure_pct) == (14.4, None)
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure" / "cpu").write_text("some avg10=35.19 avg60=1.00 avg300=1.00 total=25\n")
    assert busyness(tmp_path).pressure_pct == 35.19
