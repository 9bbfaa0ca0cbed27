"""What a line decides for its packets, and how it is set up: pure, to the packet."""

from __future__ import annotations

import json
import math
import socket
import statistics
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration import emulation_plans as plans
from uclab.emulation.link import impairment
from uclab.emulation.link.delay_line import Line, LineOrder
from uclab.emulation.link.impairment import ArrivingLine, ImpairmentError
from uclab.emulation.linux.netns import Namespace
from uclab.emulation.linux.nfqueue import Arrival, _packets
from uclab.plan.schema.codec import from_data
from uclab.plan.schema.plan import Bursts, Impairment, JitterDistribution, LinkEnd

MS = 1_000_000
ORDER = LineOrder(
    queue=1, delay_ms=40, jitter_ms=0, loss_pct=0, limit_packets=1_000_000, seed=3, keep_order=True
)


def releases(line: Line, packets: int, every_ns: int) -> list[tuple[int, int | None]]:
    """(arrival, release) of packets at a steady pace; each has left before the next may be refused."""
    return [(n * every_ns, line.release_ns(n * every_ns)) for n in range(packets)]


def test_a_line_without_jitter_delays_every_packet_by_exactly_its_delay() -> None:
    # given 40 ms without jitter and loss
    line = Line(ORDER)
    # then that is what every packet gets
    assert {release - arrived for arrived, release in releases(line, 100, MS) if release is not None} == {
        40 * MS
    }


def test_jitter_is_normal_about_the_delay() -> None:
    # given 40 ms +- 4 ms, packets far apart
    line = Line(replace(ORDER, jitter_ms=4))
    delays = [(release - arrived) / MS for arrived, release in releases(line, 20_000, 100 * MS) if release]
    # then mean and deviation are right within 4 standard errors
    assert abs(statistics.fmean(delays) - 40) < 4 * 4 / math.sqrt(20_000)
    assert abs(statistics.stdev(delays) - 4) < 4 * 4 / math.sqrt(2 * 20_000)
    # and a third lies beyond one deviation, as of a normal distribution
    beyond = sum(abs(delay - 40) > 4 for delay in delays) / 20_000
    assert 0.30 < beyond < 0.335


@pytest.mark.parametrize("loss_pct", [0.0, 0.5, 5.0, 100.0])
def test_loss_is_binomial(loss_pct: float) -> None:
    # given a lossy line
    line = Line(replace(ORDER, loss_pct=loss_pct))
    lost = sum(release is None for _, release in releases(line, 20_000, MS))
    # then it loses its share, within 4 standard deviations
    p = loss_pct / 100
    assert abs(lost - 20_000 * p) <= 4 * math.sqrt(20_000 * p * (1 - p))
    assert line.account.lost == lost


BURSTS = Bursts(enter_pct=1, leave_pct=20, lost_pct=100)


def loss_runs(line: Line, packets: int) -> list[int]:
    """Lengths of the runs of lost packets."""
    fates = ["x" if release is None else " " for _, release in releases(line, packets, MS)]
    return [len(run) for run in "".join(fates).split()]


@pytest.mark.req("W4.1", "W7.1", "W8")
def test_loss_in_bursts_has_the_share_and_the_length_of_gilbert_and_elliott() -> None:
    # given a line that turns bad by 1 %, good by 20 %, and loses everything while bad
    runs = loss_runs(Line(replace(ORDER, bursts=BURSTS)), 200_000)
    # then it loses 1 / (1 + 20) of all packets, in runs of 100 / 20 in the mean, geometric
    assert abs(sum(runs) / 200_000 - 1 / 21) < 0.005
    assert abs(statistics.fmean(runs) - 5) < 4 * math.sqrt(20 / len(runs))
    assert abs(runs.count(1) / len(runs) - 0.2) < 4 * math.sqrt(0.16 / len(runs))


@pytest.mark.req("W4.1", "W7.1", "W8")
def test_bursts_lose_their_own_share_and_random_loss_stays_between_them() -> None:
    # given a line that loses half of the packets while bad, and 2 % of the others
    order = replace(ORDER, loss_pct=2, bursts=replace(BURSTS, lost_pct=50))
    lost = sum(loss_runs(Line(order), 200_000))
    # then both make up the loss: 1/21 of the packets by half, 20/21 by 2 %
    assert abs(lost / 200_000 - (0.5 + 20 * 0.02) / 21) < 0.003


@pytest.mark.req("W4.1", "W7.1", "W8")
@pytest.mark.parametrize(
    ("distribution", "quantiles"),
    [
        ("uniform", {0.01: -1.698, 0.25: -0.866, 0.5: 0.0, 0.75: 0.866, 0.99: 1.698}),
        ("pareto", {0.01: -0.807, 0.25: -0.649, 0.5: -0.390, 0.75: 0.143, 0.9: 1.063, 0.99: 4.878}),
        ("paretonormal", {0.01: -1.295, 0.25: -0.681, 0.5: -0.288, 0.75: 0.307, 0.9: 1.168, 0.99: 4.295}),
    ],
)
def test_jitter_has_the_quantiles_of_netems_tables(
    distribution: JitterDistribution, quantiles: dict[float, float]
) -> None:
    # given 400 ms +- 40 ms by a distribution other than the normal one
    line = Line(replace(ORDER, delay_ms=400, jitter_ms=40, jitter_distribution=distribution))
    delays = sorted(
        (release - arrived) / MS for arrived, release in releases(line, 50_000, 1000 * MS) if release
    )
    # then the deviation is the planned one, and quantiles are those of iproute2's tables scaled to it
    assert abs(statistics.stdev(delays) - 40) < 1.2
    for share, deviations in quantiles.items():
        assert abs((delays[int(len(delays) * share)] - 400) / 40 - deviations) < 0.12, share


def test_the_same_seed_gives_the_same_line_and_loss_does_not_change_the_jitter_of_others() -> None:
    # given the same jittery line twice, and once with loss
    order = replace(ORDER, jitter_ms=3)
    first, second = (releases(Line(order), 500, MS) for _ in range(2))
    lossy = releases(Line(replace(order, loss_pct=30, keep_order=False)), 500, MS)
    free = releases(Line(replace(order, keep_order=False)), 500, MS)
    # then both are the same, and the lossy one's survivors are where they were
    assert first == second
    assert all(kept in (None, release) for (_, release), (_, kept) in zip(free, lossy, strict=True))


@given(
    jitter=st.floats(0, 20),
    loss=st.floats(0, 50),
    gaps=st.lists(st.integers(0, 30 * MS), min_size=1, max_size=200),
    limit=st.integers(1, 50),
)
def test_order_is_kept_and_every_packet_accounted_for(
    jitter: float, loss: float, gaps: list[int], limit: int
) -> None:
    # given any line that keeps order, with room for a few packets
    line = Line(replace(ORDER, jitter_ms=jitter, loss_pct=loss, limit_packets=limit))
    waiting: list[int] = []
    now, last = 0, 0
    for gap in gaps:
        now += gap
        # when packets leave at their time and others arrive
        for release in [due for due in waiting if due <= now]:
            waiting.remove(release)
            line.released(0)
        decided = line.release_ns(now)
        if decided is not None:
            # then none leaves before the one in front of it, nor before it came
            assert decided >= max(last, now)
            last = decided
            waiting.append(decided)
        # and there are never more than there is room for
        assert line.held == len(waiting) <= limit
    account = line.account
    assert account.arrived == len(gaps)
    assert account.arrived == account.delivered + account.lost + account.refused + line.held


@pytest.mark.req("W4.1", "W8")
def test_a_changed_line_decides_by_its_new_figures_and_goes_on_with_its_chance() -> None:
    # given a jittery, lossy line, and the same one that is worse for its packets 100 to 199
    order = replace(ORDER, jitter_ms=3, loss_pct=2, bursts=BURSTS, keep_order=False)
    steady, changed = Line(order), Line(order)
    fates: list[tuple[int | None, int | None]] = []
    for number in range(300):
        if number == 100:
            changed.change(replace(order, delay_ms=140))
        if number == 200:
            changed.change(order)
        fates.append((steady.release_ns(number * MS), changed.release_ns(number * MS)))
    during = fates[100:200]
    # then the same packets are lost, delays are 100 ms longer while it is worse, and equal before and after
    assert all(a == b for a, b in (*fates[:100], *fates[200:]))
    assert {None if a is None or b is None else b - a for a, b in during} == {None, 100 * MS}
    assert all((a is None) == (b is None) for a, b in during)


def test_a_change_of_netem_is_one_batch_for_the_line_that_arrives_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a device with netem on two lines, and a recorder in the place of tc
    ran: list[tuple[list[str], str]] = []
    monkeypatch.setattr(impairment, "_run", lambda _, command, text: ran.append((list(command), text)))
    namespace = Namespace("isp1", Path("/nowhere"), -1)
    device = impairment.ImpairedDevice(namespace, "netem", LINES)
    # when the second one changes
    device.change("other", replace(LINES[1].impairment, delay_ms=50.0, loss_pct=3.0))
    # then tc changes its queueing discipline, and no other
    assert ran == [
        (
            ["tc", "-batch", "-"],
            "qdisc change dev line1 root netem limit 1000 delay 50.0ms loss random 3.0%\n",
        )
    ]


def test_a_delay_line_that_is_gone_says_so() -> None:
    # given a delay line whose process has ended
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    namespace = Namespace("isp1", Path("/nowhere"), -1)
    device = impairment.ImpairedDevice(namespace, "userspace", LINES, control=ours)
    # when a line of it is to change
    with pytest.raises(ImpairmentError, match="isp1: the delay line does not take changes"):
        device.change("edge", LINES[0].impairment)
    ours.close()


def test_lateness_is_told_by_percentile() -> None:
    # given 98 packets on time, one 0.2 ms late and one 50 ms late
    line = Line(ORDER)
    for late_us in [5] * 98 + [200, 50_000]:
        line.release_ns(0)
        line.released(late_us * 1000, second=7)
    # then percentiles are the upper edges of 10 us steps, and what is beyond the scale counts as beyond
    # and the second in which one was late by more than a packet's time is told
    assert line.account.late_ms == {7: 50.0}
    assert line.account.lateness_percentile_us(50) == 10
    assert line.account.lateness_percentile_us(99) == 210
    assert line.account.lateness_percentile_us(100) == 10_010
    assert json.loads(json.dumps(line.account.as_record()))["lateness_p99_us"] == 210


def test_a_line_acts_where_its_packets_arrive() -> None:
    # given packets leaving `left` impaired
    planned = plans.line(40)
    # then the device at the other end delays them
    assert list(impairment.arriving_lines(planned)) == ["right"]
    assert impairment.arriving_lines(planned)["right"][0].interface == "eth0"


def test_a_line_that_ends_at_a_switch_is_refused_in_words() -> None:
    # given a line whose other end is no node
    planned = plans.line(40)
    switched = replace(planned.links[0], b=LinkEnd("acc1", "acc1-p1"))
    # when it is looked for
    with pytest.raises(ImpairmentError) as refused:
        impairment.arriving_lines(replace(planned, links=(switched,)))
    # then the error names line and switch and says what is needed
    assert (
        str(refused.value)
        == "left: the line on eth0 ends at acc1; delay and loss need a router or host at both ends"
    )


LINES = (
    ArrivingLine("isp1", "edge", Impairment("wan1", 10.0, 1.0, 0.1, 1000, 7)),
    ArrivingLine("isp1", "other", Impairment("wan2", 20.0, keep_order=False)),
)


def test_netem_gets_the_same_profile_as_the_delay_line() -> None:
    # given two lines that arrive at a device
    commands = impairment.netem_commands(LINES)
    # then netem has delay, normal jitter, loss and limit, and keeps order only where planned
    assert commands[0] == (
        "qdisc add dev line0 root netem limit 1000 "
        "delay 10.0ms 1.0ms distribution normal loss random 0.1% rate 100gbit"
    )
    assert commands[3] == "qdisc add dev line1 root netem limit 1000 delay 20.0ms"
    assert commands[2].startswith("filter add dev edge parent ffff:")
    # and the delay line has the same figures
    figures = {"delay_ms": 10.0, "jitter_ms": 1.0, "loss_pct": 0.1, "limit_packets": 1000, "seed": 7}
    more = {"keep_order": True, "jitter_distribution": "normal", "bursts": None}
    assert impairment.line_orders(LINES)[0] == {"queue": 1, **figures, **more}


@pytest.mark.req("W4.1", "W7.1", "W8")
def test_netem_gets_bursts_and_distributions_in_its_own_terms() -> None:
    # given lines with bursts, with a tail, and with an even spread
    bursty = Impairment("wan1", 30.0, 5.0, 0.2, jitter_distribution="pareto", bursts=BURSTS)
    even = replace(bursty, jitter_distribution="uniform", bursts=None, loss_pct=0.0)
    first, _, _, second, *_ = impairment.netem_commands(
        [ArrivingLine("isp1", "a", bursty), ArrivingLine("isp1", "b", even)]
    )
    # then netem gets p, r, 1-h, 1-k, and a jitter that gives the planned deviation with its table or without
    assert first == (
        "qdisc add dev line0 root netem limit 1000 delay 30.0ms 6.098ms distribution pareto "
        "loss gemodel 1% 20% 100% 0.2% rate 100gbit"
    )
    assert second == "qdisc add dev line1 root netem limit 1000 delay 30.0ms 8.66ms rate 100gbit"
    # and the delay line's order comes back whole from the JSON that it is sent as
    told = json.loads(json.dumps(impairment.line_orders([ArrivingLine("isp1", "a", bursty)])[0]))
    order = from_data(LineOrder, told)
    assert (order.bursts, order.jitter_distribution, order.jitter_ms) == (BURSTS, "pareto", 5.0)


def test_arriving_packets_are_queued_before_connection_tracking() -> None:
    # given the same lines
    rules = impairment.queue_rules(LINES)
    # then each has its queue, in the raw table, and nobody is let past when the process is gone (no --queue-
    # bypass)
    assert rules.splitlines() == [
        "*raw",
        "-A PREROUTING -i edge -j NFQUEUE --queue-num 1",
        "-A PREROUTING -i other -j NFQUEUE --queue-num 2",
        "COMMIT",
    ]


def test_arrivals_are_read_from_the_kernels_messages() -> None:
    # given two packet messages of different queues, one of them with the time of arrival, and an
    # acknowledgement between them
    def message(queue: int, number: int, stamp: bytes = b"") -> bytes:
        header = struct.pack("=HH", 11, 1) + struct.pack(">IHB", number, 0x0800, 0) + b"\0"
        interface = struct.pack("=HHI", 8, 5, 3)
        body = struct.pack("=BB", 2, 0) + struct.pack(">H", queue) + header + interface + stamp
        return struct.pack("=IHHII", 16 + len(body), 3 << 8, 0, 0, 0) + body

    acknowledgement = struct.pack("=IHHIIi", 36, 2, 0, 1, 0, 0) + bytes(16)
    stamp = struct.pack("=HH", 20, 4) + struct.pack(">QQ", 1_700_000_000, 250_001)
    # then queue, number and time of both are found
    assert _packets(message(1, 77) + acknowledgement + message(2, 78, stamp)) == [
        Arrival(1, 77, None),
        Arrival(2, 78, 1_700_000_000_250_001_000),
    ]
