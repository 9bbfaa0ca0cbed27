"""WAN lines on which not even one call fits (Q2); how many fit, `uclab capacity` says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from uclab.model.bandwidth import TUNNEL_BYTES, media_stream
from uclab.model.conditions import Conditions
from uclab.model.diagnostic import Diagnostic, shown
from uclab.model.link_degradation import under
from uclab.model.policy import PolicyProfile
from uclab.model.profile import LinkProfile
from uclab.model.traffic import SiteTraffic
from uclab.model.yaml_location import YamlLocation


def check(
    top: YamlLocation, policy: PolicyProfile, profiles: Mapping[str, LinkProfile]
) -> Iterator[Diagnostic]:
    """Each line's rate in each direction against one call with the site's codec, if anybody calls there."""
    ceiling = next((q.ceiling_pct for q in policy.wan_queues if policy.media.dscp in q.dscps), 100)
    for site in top["sites"]:
        traffic = _traffic(site)
        if traffic is None or not list(site["endpoints"]):
            continue
        underlays = [name.text for name in site["sd_wan"]["underlays"]] if site["sd_wan"].given else []
        for line in site["connections"]:
            profile = profiles.get(line["profile"].text or "")
            if profile is None:
                continue
            profile = under(profile, _conditions(line))
            tunnel_bytes = TUNNEL_BYTES if line["name"].text in underlays else 0
            stream = media_stream(traffic.over(policy.traffic), tunnel_bytes)
            for way, direction, share in (
                ("up", profile.up, ceiling),
                ("down", profile.down, ceiling if profile.honours_classes else 100),
            ):
                for_voice, need = direction.rate_kbps * share / 100, stream.kbps("line")
                if for_voice < need:
                    yield line["profile"].mistake(
                        f"{shown(profile.profile)} carries {for_voice:g} kbit/s of voice {way}, "
                        f"one {stream.codec} call needs {need:.1f} kbit/s",
                        f"choose a line of {math.ceil(need * 100 / share)} kbit/s or more {way}, "
                        "or a narrower codec",
                    )


def _traffic(site: YamlLocation) -> SiteTraffic | None:
    """What the site says of its calls; None where that has mistakes of its own."""
    if not site["traffic"].given:
        return SiteTraffic()
    try:
        return SiteTraffic.model_validate(site["traffic"].value)
    except ValidationError:
        return None


def _conditions(line: YamlLocation) -> Conditions | None:
    """The line's conditions; none where they have mistakes of their own."""
    try:
        return Conditions.model_validate(line["conditions"].value) if line["conditions"].given else None
    except ValidationError:
        return None
