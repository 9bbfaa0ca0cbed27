"""An intruder sends to the ports that answer, and now and then to all of them."""

from __future__ import annotations

import random
from collections import Counter

from uclab.emulation.build.forged_media import ForgedStream, Forger
from uclab.plan.schema.injection import Injection

ORDER = Injection("web", "198.18.10.12", (20000, 20007), packets_per_s=50, search_ms=1000)


def sent(seconds: float, answering: dict[int, float]) -> Counter[int]:
    """Packets by port within that time, if each of these ports answers from a time on."""
    forger, packets = Forger(ORDER, 0.0), Counter[int]()
    now = 0.0
    while now < seconds:
        for port, since in answering.items():
            if now >= since:
                forger.answered(port, now)
        packets.update(forger.due(now))
        now += 0.001
    return packets


def test_every_even_port_is_tried_once_a_round() -> None:
    assert sent(3.0, {}) == {20000: 3, 20002: 3, 20004: 3, 20006: 3}


def test_a_port_that_answers_gets_the_whole_rate() -> None:
    packets = sent(3.0, {20002: 1.0})
    assert packets[20000] == 3
    assert 95 <= packets[20002] <= 105


def test_forged_media_is_rtp_as_long_as_a_phones() -> None:
    stream = ForgedStream(random.Random(1))
    first, second = stream.packet(), stream.packet()
    assert (first[0], first[1], len(first)) == (0x80, 0, 182)
    assert first[8:12] == second[8:12]
    assert int.from_bytes(second[2:4]) == (int.from_bytes(first[2:4]) + 1) & 0xFFFF
