"""What is meant by numbers and networks that are written as people write them."""

from __future__ import annotations

import pytest

from uclab.model.written import network_meant, number_meant


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("10,000", "rate_kbps", "10000"), ("1'000'000", "opus_kbps", "1000000"),
        ("10 000", "rate_kbps", "10000"),
        ("10M", "rate_kbps", "10000"), ("10 Mbit/s", "rate_kbps", "10000"), ("2.5Mbps", "rate_kbps", "2500"),
        ("512k", "rate_kbps", "512"), ("1G", "rate_kbps", "1000000"), ("20ms", "delay_ms", "20"),
        ("1,5", "jitter_ms", "1.5"), ("2 s", "delay_ms", "2000"), ("5 min", "udp_timeout_s", "300"),
        ("1%", "loss_pct", "1"), ("7 W", "watts", "7"), ("0777", "number", "777"),
    ],
)  # fmt: skip
def test_a_number_is_told_in_the_unit_of_its_key(text: str, key: str, meant: str) -> None:
    assert number_meant(text, key) == meant


@pytest.mark.parametrize(
    ("text", "key"),
    [("ten", "rate_kbps"), ("10 furlongs", "delay_ms"), ("10M", "delay_ms"), ("1.2.3", "rate_kbps"),
     ("", "rate_kbps"), (None, "rate_kbps"), ("9" * 50, "rate_kbps"), ("5ms", "number")],
)  # fmt: skip
def test_what_may_mean_anything_is_not_guessed(text: object, key: str) -> None:
    assert number_meant(text, key) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("10.30.110.0/255.255.255.0", "10.30.110.0/24"), ("10.30.0.0 255.255.0.0", "10.30.0.0/16"),
        ("10.30.110.7/255.255.255.0", "10.30.110.0/24"), ("10.30.0.0 mask 255.255.0.0", "10.30.0.0/16"),
        ("10.30.0.0/255.0.255.0", None), ("10.30.0.0/16", None), ("10.300.0.0/255.255.0.0", None), (24, None),
    ],
)  # fmt: skip
def test_a_netmask_is_told_as_a_prefix_length(text: object, meant: str | None) -> None:
    assert network_meant(text) == meant
