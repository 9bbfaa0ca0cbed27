"""The policy profile, resolved for one lab: what the switches mark by and what the judge holds the captures
against."""

from __future__ import annotations

from uclab.kinds.endpoint_kind import ENDPOINT_KINDS
from uclab.kinds.user_agent import USER_AGENTS
from uclab.model import topology as model
from uclab.model.cloud import Cloud
from uclab.model.domain import LONGEST_HOST
from uclab.model.policy import PolicyProfile
from uclab.plan.schema.plan import Confidence, FailoverLimits, MarkingRule, Policy, RegistrationTiming
from uclab.plan.schema.switching import RestartedPart, RestartPolicy, Tolerances

__all__ = ["RestartPolicy", "RestartedPart", "names_dscp", "registration_timing", "resolve"]

DNS_PORT = 53


def names_dscp(policy: Policy) -> int:
    """The DSCP of DNS queries to whatever server (V6): of the first rule for that port, or the default."""
    for rule in policy.rules:
        if rule.any_destination and any(low <= DNS_PORT <= high for low, high in rule.udp_ports):
            return rule.set_dscp
    return policy.default_dscp


def registration_timing(profile: PolicyProfile) -> RegistrationTiming:
    """How registrations are kept, as the policy says."""
    return RegistrationTiming(**profile.registration.model_dump())


def driver_of(endpoint: model.Endpoint, profile: PolicyProfile, cloud: Cloud) -> str:
    """The user agent that plays an endpoint: of its kind's the first that speaks the policy's lowest TLS
    version and knows host names as long as the cloud's, else the last."""
    agents = [USER_AGENTS[name] for name in ENDPOINT_KINDS[endpoint.kind].user_agents]
    lowest, longest = profile.signalling.min_tls_version, len(cloud.domain) + LONGEST_HOST
    able = [agent for agent in agents if agent.highest_tls >= lowest and agent.host_characters >= longest]
    return (able or agents[-1:])[0].name


def registrar_port(endpoint: model.Endpoint, profile: PolicyProfile) -> int:
    """The session controllers' port that an endpoint registers at, by its kind."""
    port: int = getattr(profile.signalling.sips_ports, ENDPOINT_KINDS[endpoint.kind].sips_port)
    return port


def resolve(profile: PolicyProfile, topology: model.Topology) -> Policy:
    """The policy with the prefixes of this topology's cloud."""
    ports = profile.signalling.sips_ports
    return Policy(
        name=profile.policy,
        title=profile.title,
        source=profile.source,
        rules=tuple(
            MarkingRule(
                traffic_class=rule.name,
                set_dscp=rule.dscp,
                dscps=rule.match_dscps,
                udp_ports=rule.udp,
                tcp_ports=rule.tcp,
                any_destination=rule.any_destination,
            )
            for rule in profile.classes
        ),
        default_dscp=profile.default_dscp,
        dscp_to_pcp=tuple(dict.fromkeys((marking.dscp, marking.pcp) for marking in profile.markings)),
        dscp_to_tc=tuple(dict.fromkeys((marking.dscp, marking.mpls_tc) for marking in profile.markings)),
        dscp_to_up=tuple(dict.fromkeys((marking.dscp, marking.wifi_up) for marking in profile.markings)),
        max_one_way_delay_ms=profile.limits.max_one_way_delay_ms,
        max_loss_pct=profile.limits.max_loss_pct,
        max_jitter_ms=profile.limits.max_jitter_ms,
        min_mos=profile.limits.min_mos,
        min_tls_version=profile.signalling.min_tls_version,
        media_ports=profile.media.udp_ports,
        nat_udp_timeout_s=profile.nat.udp_timeout_s,
        cloud_prefixes=tuple(
            str(dc.prefix) for region in topology.cloud.regions for dc in region.datacentres
        ),
        voice_dscp=profile.media.dscp,
        signalling_dscp=profile.signalling.dscp,
        sips_ports=tuple(sorted({ports.desk_phone, ports.softclient, ports.trunk})),
        untrusted_classes=tuple(rule.name for rule in profile.classes if rule.port_match_untrusted),
        restarts=RestartPolicy(**profile.restarts.model_dump()),
        confidence=Confidence(**profile.confidence.model_dump()),
        tolerances=Tolerances(**profile.tolerances.model_dump()),
        failover=None if profile.failover is None else FailoverLimits(**profile.failover.model_dump()),
    )
