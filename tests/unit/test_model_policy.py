"""The provider's policy: the numbers that verdicts and queues are made of."""

from __future__ import annotations

import pytest

from uclab.model.load import load_topology
from uclab.model.policy import PolicyProfile


@pytest.fixture(scope="module")
def policy() -> PolicyProfile:
    return load_topology("enterprise-hq").policy


@pytest.mark.req("C8")
def test_traffic_classes_are_the_providers_in_their_order(policy: PolicyProfile) -> None:
    lookups = "names"  # DNS: the lab's own addition
    names = [(rule.name, rule.dscp) for rule in policy.classes if rule.name != lookups]
    assert names == [
        ("audio", 46), ("video", 34), ("peer-video", 34), ("signalling", 26),
        ("directory", 18), ("presence", 18),
    ]  # fmt: skip
    assert (20000, 64999) in policy.classes[0].udp
    anywhere = {rule.name for rule in policy.classes if rule.any_destination}
    assert anywhere - {lookups} == {"peer-video", "directory"}


@pytest.mark.req("C8")
def test_signalling_marked_cs5_lands_in_the_audio_class(policy: PolicyProfile) -> None:
    """RFC 4594 and most user agents mark signalling CS5; the provider's first rule takes that for audio."""
    first = next(rule for rule in policy.classes if 40 in rule.match_dscps)
    assert first.name == "audio"


@pytest.mark.req("Q1.1", "Q1.2")
@pytest.mark.parametrize(
    ("service", "dscp", "pcp", "tc", "up", "category"),
    [
        ("voice", 46, 5, 5, 6, "AC_VO"),
        ("video", 34, 4, 4, 4, "AC_VI"),
        ("signalling", 26, 3, 3, 4, "AC_VI"),
        ("directory", 18, 2, 2, 3, "AC_BE"),
    ],
)
def test_marking_between_networks(
    policy: PolicyProfile, service: str, dscp: int, pcp: int, tc: int, up: int, category: str
) -> None:
    marking = policy.marking(service)
    assert (marking.dscp, marking.pcp, marking.mpls_tc) == (dscp, pcp, tc)
    assert (marking.wifi_up, marking.wifi_ac) == (up, category)


@pytest.mark.req("C8", "Q2")
def test_limits_are_the_published_ones(policy: PolicyProfile) -> None:
    limits = policy.limits
    assert (limits.max_one_way_delay_ms, limits.max_loss_pct, limits.max_jitter_ms) == (150, 1.0, 30)
    assert limits.min_mos == 4.0


@pytest.mark.req("C9.1", "C9.4")
def test_signalling_is_tls_and_media_srtp(policy: PolicyProfile) -> None:
    assert policy.signalling.min_tls_version == "1.2"
    assert policy.signalling.sips_ports.desk_phone == 5096
    assert policy.signalling.sips_ports.softclient == 5097
    assert policy.media.srtp_required
    assert policy.media.udp_ports == (20000, 64999)


@pytest.mark.req("N2", "C8")
def test_every_marking_has_one_queue_and_voice_is_served_first(policy: PolicyProfile) -> None:
    queued = [dscp for queue in policy.wan_queues for dscp in queue.dscps]
    assert sorted(queued) == sorted({marking.dscp for marking in policy.markings})
    assert sum(queue.guaranteed_pct for queue in policy.wan_queues) <= 100
    assert min(policy.wan_queues, key=lambda queue: queue.priority).name == "voice"
    assert [queue.name for queue in policy.wan_queues if not queue.dscps] == ["default"]
    assert all(queue.limit_packets <= 40 for queue in policy.wan_queues)
    assert [queue.name for queue in policy.wan_queues if queue.arp] == ["signalling"]


def test_a_binding_outlives_the_time_between_registrations(policy: PolicyProfile) -> None:
    assert policy.nat.udp_timeout_s > policy.nat.registration_refresh_s >= 300


def test_a_desk_phone_needs_the_power_of_its_class(policy: PolicyProfile) -> None:
    assert policy.watts("desk-phone") == 7.0
    assert policy.watts("softclient") == 0.0


def test_unknown_service_has_no_marking(policy: PolicyProfile) -> None:
    with pytest.raises(KeyError, match="telex"):
        policy.marking("telex")
