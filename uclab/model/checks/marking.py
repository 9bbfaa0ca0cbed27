"""Whether a policy says one thing about markings: services, classes, ports and queues fit each other (C8).

A switch marks by classes, a phone by its service, a queue by code points. Where they contradict each other, a
network that does what it was told looks broken.
"""

from __future__ import annotations

from collections.abc import Iterator

from uclab.model.bandwidth import PORTS_A_CALL
from uclab.model.diagnostic import Diagnostic, closest, listed, shown
from uclab.model.schema_types import DSCP_NAMES, port_range
from uclab.model.yaml_location import YamlLocation

ENDPOINT_PORTS = ("desk_phone", "softclient")
"""Ports by which a site's endpoints reach the session controller; the trunk's never cross a site's line."""
TAKEN_TCP = {
    53: "DNS",
    80: "the web",
    443: "the cloud's web pages, and every PC's",
    5060: "plain SIP, which nothing may use (C9)",
}
"""TCP ports at which there is something else, so that marks and verdicts could not tell signalling apart."""
TAKEN_UDP = {53: "DNS", 123: "NTP", 443: "HTTP/3", 2223: "the control of the media relay"}
Ranges = list[tuple[int, int]]


def check(top: YamlLocation) -> Iterator[Diagnostic]:
    """What a policy's file says in several places about the same packets."""
    classes = [entry for entry in top["classes"] if entry["dscp"].code_point is not None]
    if len(classes) != len(list(top["classes"])):
        return  # what is wrong with them is said already
    yield from _services(top)
    yield from _signalling_ports(top, classes)
    yield from _media_ports(top, classes)
    yield from _trunk(top["signalling"]["sips_ports"])
    yield from _taken_by_earlier(classes)
    yield from _queued(top)


def unqueued_media(top: YamlLocation) -> Iterator[Diagnostic]:
    """Media without a queue of its own: it can be built, so this is a warning."""
    dscp, queues = top["media"]["dscp"], list(top["wan_queues"])
    if dscp.code_point is not None and queues and not _queue_of(dscp.code_point, queues):
        rest = next((queue for queue in queues if not list(queue["dscps"])), None)
        where = f"queue {shown(rest['name'].text)} (line {rest.line})" if rest else "what is left"
        yield dscp.mistake(
            f"{_named(dscp.code_point)} of voice is in no queue of its own, it shares {where} with all bulk",
            f"no call can be counted on when a line is full; give {_named(dscp.code_point)} a queue",
        )


def _services(top: YamlLocation) -> Iterator[Diagnostic]:
    """What endpoints mark is what the markings say of the service."""
    for service, said in (("voice", top["media"]["dscp"]), ("signalling", top["signalling"]["dscp"])):
        for marking in top["markings"]:
            wanted = marking["dscp"].code_point
            if marking["service"].text != service or None in (wanted, said.code_point):
                continue
            if wanted != said.code_point:
                yield said.mistake(
                    f"found {_named(said.code_point)}; the marking of {service} on line {marking.line} "
                    f"says {_named(wanted)}",
                    f"give both the same code point, such as {_named(wanted)}",
                )


def _said(top: YamlLocation, service: str, own: YamlLocation) -> YamlLocation:
    """Where a service's code point is said: by its marking, so that a contradiction is told once."""
    markings = (marking["dscp"] for marking in top["markings"] if marking["service"].text == service)
    return next(markings, own)


def _signalling_ports(top: YamlLocation, classes: list[YamlLocation]) -> Iterator[Diagnostic]:
    signalling = top["signalling"]
    said = _said(top, "signalling", signalling["dscp"])
    dscp = said.code_point
    reported: list[YamlLocation] = []
    for who in ENDPOINT_PORTS:
        place = signalling["sips_ports"][who]
        port = place.number
        if port is None or dscp is None:
            continue
        if port in TAKEN_TCP:
            yield place.mistake(f"port {port} is that of {TAKEN_TCP[port]}", "choose another, such as `5096`")
            continue
        taker = _first(classes, "tcp", port)
        if taker is None:
            wanted = [entry["name"].text or "?" for entry in classes if entry["dscp"].code_point == dscp]
            what = f"of class {listed(wanted)}" if wanted else f"of a class with `dscp: {_named(dscp)[1:-1]}`"
            yield place.mistake(f"TCP port {port} is in no class", f"add {port} to `tcp` {what}")
        elif taker["dscp"].code_point != dscp and taker not in reported:
            reported.append(taker)
            yield place.mistake(
                f"class {shown(taker['name'].text)} on line {taker.line} marks TCP port {port} with "
                f"{_named(taker['dscp'].code_point)}, signalling is {_named(dscp)} by line {said.line}",
                "give both the same code point",
            )


def _media_ports(top: YamlLocation, classes: list[YamlLocation]) -> Iterator[Diagnostic]:
    media = top["media"]
    said = _said(top, "voice", media["dscp"])
    place, dscp = media["udp_ports"], said.code_point
    ports = port_range(place.value) if place.given else None
    if ports is None or dscp is None:
        return
    low, high = ports
    if high - low + 1 < PORTS_A_CALL:
        yield place.mistake(
            f"{high - low + 1} ports carry no call", f"a call takes {PORTS_A_CALL}: `{low}-{low + 99}`"
        )
    if taken := next((port for port in TAKEN_UDP if low <= port <= high), None):
        yield place.mistake(
            f"UDP port {taken} is that of {TAKEN_UDP[taken]}",
            "choose a range without it, such as `20000-64999`",
        )
    rest: Ranges = [(low, high)]
    for entry in classes:
        hit = [part for part in rest if _overlap(part, _ranges(entry, "udp"))]
        if hit and entry["dscp"].code_point != dscp:
            first = max(
                hit[0][0], min(ports[0] for ports in _ranges(entry, "udp") if _overlap(hit[0], [ports]))
            )
            yield place.mistake(
                f"class {shown(entry['name'].text)} on line {entry.line} marks UDP port {first} with "
                f"{_named(entry['dscp'].code_point)}, voice is {_named(dscp)} by line {said.line}",
                "give both the same code point, or other ports",
            )
        rest = _without(rest, _ranges(entry, "udp"))
    if rest:
        allowed = f"add {shown(f'{rest[0][0]}-{rest[0][1]}')} to `udp` of a class with {_named(dscp)}"
        yield place.mistake(f"UDP ports {rest[0][0]} to {rest[0][1]} are in no class", allowed)


def _trunk(ports: YamlLocation) -> Iterator[Diagnostic]:
    """The session controller knows by the port who connects."""
    trunk = ports["trunk"]
    if trunk.number in TAKEN_TCP:
        yield trunk.mistake(
            f"port {trunk.number} is that of {TAKEN_TCP[trunk.number]}", "choose another, such as `5061`"
        )
    for who in ENDPOINT_PORTS:
        if trunk.number is not None and trunk.number == ports[who].number:
            yield trunk.mistake(
                f"port {trunk.number} is that of {shown(who)} already", "the trunk has a port of its own"
            )


def _taken_by_earlier(classes: list[YamlLocation]) -> Iterator[Diagnostic]:
    """Of several classes the first that matches wins: one that never can is a mistake."""
    for number, entry in enumerate(classes):
        wide = entry["any_destination"].value is True
        earlier = [
            traffic_class
            for traffic_class in classes[:number]
            if traffic_class["any_destination"].value is True or not wide
        ]
        for point in entry["match_dscps"]:
            taker = next((location for location in earlier if point.code_point in _points(location)), None)
            if taker is not None and point.code_point is not None:
                yield point.mistake(
                    f"{_named(point.code_point)} is matched by class {shown(taker['name'].text)} on line "
                    f"{taker.line}",
                    "the first class wins; name each code point once",
                )
        left = False
        for protocol in ("udp", "tcp"):
            rest = _ranges(entry, protocol)
            for traffic_class in earlier:
                rest = _without(rest, _ranges(traffic_class, protocol))
            left = left or bool(rest)
        ports = _ranges(entry, "udp") + _ranges(entry, "tcp")
        if ports and not left and not list(entry["match_dscps"]):
            takers = [location for location in earlier if _shares(location, entry)]
            yield entry.mistake(
                "no packet can come into this class: all its ports are those of "
                + ", ".join(f"{shown(location['name'].text)} on line {location.line}" for location in takers),
                "the first class that matches wins; move this one up, or leave it out",
            )


def _queued(top: YamlLocation) -> Iterator[Diagnostic]:
    """Every marking has a queue: what has none shares the rest's with all bulk. Voice's own: a warning."""
    queues = list(top["wan_queues"])
    if not queues:
        return
    used = {marking["dscp"].code_point for marking in top["markings"]}
    used |= {entry["dscp"].code_point for entry in top["classes"]}
    idle = [point for queue in queues for point in queue["dscps"] if point.code_point not in used]
    for marking in top["markings"]:
        dscp = marking["dscp"]
        code = dscp.code_point
        if code is None or code == top["media"]["dscp"].code_point or _queue_of(code, queues):
            continue
        code_points = [f"{_named(p.code_point)} (line {p.line})" for p in idle if p.code_point is not None]
        instead = f"; {', '.join(code_points)} is in a queue, but nothing is marked so" if code_points else ""
        known = [queue["name"].text or "?" for queue in queues if list(queue["dscps"])]
        name = marking["service"].text
        yield dscp.mistake(
            f"{_named(code)} is in no queue of `wan_queues` on line {top['wan_queues'].line}{instead}",
            f"add it to `dscps` of one of {listed(known)}",
            closest(name, known),
        )


def _queue_of(code: int, queues: list[YamlLocation]) -> YamlLocation | None:
    return next((q for q in queues if any(point.code_point == code for point in q["dscps"])), None)


def _points(entry: YamlLocation) -> list[int]:
    return [point.code_point for point in entry["match_dscps"] if point.code_point is not None]


def _first(classes: list[YamlLocation], protocol: str, port: int) -> YamlLocation | None:
    return next((entry for entry in classes if _overlap((port, port), _ranges(entry, protocol))), None)


def _ranges(entry: YamlLocation, protocol: str) -> Ranges:
    return [ports for place in entry[protocol] if (ports := port_range(place.value)) is not None]


def _shares(one: YamlLocation, other: YamlLocation) -> bool:
    return any(
        _overlap(ports, _ranges(one, protocol))
        for protocol in ("udp", "tcp")
        for ports in _ranges(other, protocol)
    )


def _overlap(ports: tuple[int, int], ranges: Ranges) -> bool:
    return any(low <= ports[1] and ports[0] <= high for low, high in ranges)


def _without(rest: Ranges, taken: Ranges) -> Ranges:
    """What of some ranges is left when others are taken away."""
    for low, high in taken:
        kept: Ranges = []
        for a, b in rest:
            kept += [part for part in ((a, min(b, low - 1)), (max(a, high + 1), b)) if part[0] <= part[1]]
        rest = kept
    return rest


def _named(dscp: int | None) -> str:
    name = next((name for name, code in DSCP_NAMES.items() if code == dscp and name != "BE"), str(dscp))
    return f"`{name}`"
