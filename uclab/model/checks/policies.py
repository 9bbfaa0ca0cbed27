"""Whether a policy's parts fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.checks.marking import check as check_marking
from uclab.model.checks.uniqueness import repeats
from uclab.model.diagnostic import Diagnostic, listed, shown
from uclab.model.policy import Registration
from uclab.model.wmm import CATEGORIES, category
from uclab.model.yaml_location import YamlLocation

SERVICES = ("voice", "video", "signalling")
"""Services whose marking every policy says."""


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """Classes, markings, queues, time-outs and limits of failover."""
    classes, markings, queues = list(top["classes"]), list(top["markings"]), list(top["wan_queues"])
    for entries, what in ((classes, "class"), (queues, "queue")):
        named = ((entry["name"].text, entry["name"]) for entry in entries)
        yield from repeats(named, what, "give each a name of its own")
    services = [marking["service"].text for marking in markings]
    yield from repeats(((m["service"].text, m["service"]) for m in markings), "service", "one marking each")
    if markings and (absent := [service for service in SERVICES if service not in services]):
        yield top["markings"].mistake(
            f"no marking for {listed(absent)}", f"every policy marks {listed(SERVICES)}"
        )
    yield from _categories(markings)
    devices = ((power["device"].text, power["device"]) for power in top["power"])
    yield from repeats(devices, "device", "one power class each")
    yield from _queues(top, queues)
    yield from _times(top["nat"])
    yield from _gaps(top["failover"])
    yield from _silence(top["registration"])
    yield from check_marking(top)


def _categories(markings: list[YamlLocation]) -> Iterator[Diagnostic]:
    """A Wi-Fi user priority has one access category."""
    for marking in markings:
        up, said = marking["wifi_up"].number, marking["wifi_ac"].text
        if up is not None and up in range(8) and said in CATEGORIES and said != category(up):
            yield marking["wifi_ac"].mistake(
                f"user priority {up} is not in {shown(said)}", f"allowed: {shown(category(up))}"
            )


def _queues(top: YamlLocation, queues: list[YamlLocation]) -> Iterator[Diagnostic]:
    if not queues:
        return
    points = [(point.code_point, point) for queue in queues for point in queue["dscps"]]
    yield from repeats(points, "DSCP", "a code point belongs to one queue")
    rest = [queue for queue in queues if not list(queue["dscps"])]
    if len(rest) != 1:
        yield top["wan_queues"].mistake(
            f"{len(rest)} queues have no `dscps`", "exactly one takes all other traffic"
        )
    arp = [queue for queue in queues if queue["arp"].value is True]
    if len(arp) != 1:
        yield top["wan_queues"].mistake(f"{len(arp)} queues take ARP", "exactly one has `arp: true`")
    total = sum(queue["guaranteed_pct"].number or 0 for queue in queues)
    if total > 100:
        yield top["wan_queues"].mistake(f"guaranteed shares add up to {total} %", "allowed: up to 100 %")
    for queue in queues:
        floor, ceiling = queue["guaranteed_pct"].number, queue["ceiling_pct"].number
        if floor is not None and ceiling is not None and ceiling < floor:
            yield queue["ceiling_pct"].mistake(
                f"ceiling {ceiling} % is below the guaranteed {floor} %", f"allowed: {floor} to 100"
            )


def _silence(registration: YamlLocation) -> Iterator[Diagnostic]:
    """Either may be left out; then the other is held against its default."""
    otherwise = Registration()
    asked = registration["keepalive_s"].number or otherwise.keepalive_s
    lost = registration["lost_s"].number or otherwise.lost_s
    if lost <= asked:
        culprit = "lost_s" if registration["lost_s"].number else "keepalive_s"
        yield registration[culprit].mistake(
            f"a connection would be given up after {lost} s, before the first keep-alive after {asked} s",
            f"allowed: more than {shown(asked)}",
        )


def _times(nat: YamlLocation) -> Iterator[Diagnostic]:
    timeout, refresh = nat["udp_timeout_s"].number, nat["registration_refresh_s"].number
    if timeout is not None and refresh is not None and timeout <= refresh:
        yield nat["udp_timeout_s"].mistake(
            f"a binding of {timeout} s is gone before the next registration after {refresh} s",
            f"allowed: more than {shown(refresh)}",
        )


def _gaps(failover: YamlLocation) -> Iterator[Diagnostic]:
    """Where phones or cloud must do something, a path cannot be moved faster than where routing alone
    does."""
    routed, readdressed = (
        failover[key].number for key in ("max_media_gap_ms", "max_media_gap_new_address_ms")
    )
    if routed is not None and readdressed is not None and readdressed < routed:
        yield failover["max_media_gap_new_address_ms"].mistake(
            f"a gap of {readdressed} ms with a new address is shorter than that of {routed} ms without",
            f"allowed: {routed} or more",
        )
