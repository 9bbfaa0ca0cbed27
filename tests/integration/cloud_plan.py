"""A plan of the cloud alone, for `cloud_sandbox`'s network."""

from __future__ import annotations

from typing import Literal

from tests.integration.cloud_sandbox import DNS, MEDIA, PSTN, SBC
from uclab.plan.schema.plan import (
    Account,
    Certificate,
    DnsRecord,
    Endpoint,
    MessageGroup,
    NameServer,
    Plan,
    Policy,
    PstnPeer,
    RegistrationTiming,
    SessionController,
)

DOMAIN = "ucaas.test"
HOST = "sip.ucaas.test"
TIMING = RegistrationTiming(keepalive_s=4, lost_s=6, attempt_s=2, retry_s=1, retry_max_s=8, failback_s=10)
"""As in the policy `ucaas`."""
NUMBERS = ("+493055501001", "+493055501002")


def account(user: str, e164: str | None = None, domain: str = DOMAIN) -> Account:
    return Account(user=user, domain=domain, password=f"secret-of-{user}", display=user, e164=e164)


ACCOUNTS = (
    account("1001", "+4930111001"),
    account("1002", "+4930111002"),
    account("1003", "+4930111003"),
    account("1004", "+4930111004"),
)
UNREGISTERED = ACCOUNTS[3]
GROUP = MessageGroup("sales", "600", ("desk2", "soft1", "nobody"), ("1002", "1003", "1004"))

CONTROLLER = SessionController(
    name="fra1-sbc",
    node="sbc",
    address=SBC,
    media_address=MEDIA,
    domain=DOMAIN,
    host_name=HOST,
    tls_ports=(5096, 5097),
    trunk_port=5061,
    media_ports=(20000, 64999),
    certificate="fra1-sbc",
    accounts=ACCOUNTS,
    trunk_peer=("pstn.ucaas.test", 5061),
    dscp_signalling=26,
    dscp_media=46,
    registration=TIMING,
    groups=(GROUP,),
)


def endpoint(
    name: str,
    owner: Account,
    port: int,
    tone_hz: int,
    *,
    kind: Literal["desk-phone", "softclient", "pstn-phone"] = "desk-phone",
) -> Endpoint:
    return Endpoint(
        name=name,
        kind=kind,
        driver="baresip",
        node=name,
        account=owner,
        registrar=HOST,
        registrar_port=port,
        transport="tls",
        tone_hz=tone_hz,
        registration=TIMING,
        registers=kind != "pstn-phone",
    )


DESK1 = endpoint("desk1", ACCOUNTS[0], 5096, 440)
DESK2 = endpoint("desk2", ACCOUNTS[1], 5097, 620)
SOFT1 = endpoint("soft1", ACCOUNTS[2], 5097, 1030, kind="softclient")
PSTN_PEER = PstnPeer(
    name="pstn",
    node="pstn",
    address=PSTN,
    host_name="pstn.ucaas.test",
    port=5061,
    numbers=NUMBERS,
    certificate="pstn",
    endpoint=endpoint("pstn", account(NUMBERS[0], NUMBERS[0]), 5061, 850, kind="pstn-phone"),
)
NAME_SERVER = NameServer(
    name="dns",
    node="dns",
    address=DNS,
    records=(
        DnsRecord(HOST, "A", SBC),
        DnsRecord("pstn.ucaas.test", "A", PSTN),
        DnsRecord("_sips._tcp.ucaas.test", "SRV", f"10 10 5096 {HOST}"),
    ),
    dscp=18,
)
POLICY = Policy(
    name="test",
    rules=(),
    default_dscp=0,
    dscp_to_pcp=(),
    max_one_way_delay_ms=150,
    max_loss_pct=1,
    max_jitter_ms=30,
    min_mos=4,
    min_tls_version="1.2",
    media_ports=(20000, 64999),
    nat_udp_timeout_s=360,
    cloud_prefixes=("198.18.0.0/15",),
    voice_dscp=46,
    signalling_dscp=26,
)


def make_plan() -> Plan:
    """The cloud with its name server, session controller and PSTN peer."""
    return Plan(
        topology="cloud",
        title="the cloud alone",
        policy=POLICY,
        nodes=(),
        links=(),
        switches=(),
        engines=(),
        vlans=(),
        fabrics=(),
        endpoints=(DESK1, DESK2, SOFT1),
        certificates=(
            Certificate("fra1-sbc", (HOST, DOMAIN), (SBC,)),
            Certificate("pstn", ("pstn.ucaas.test",), (PSTN,)),
            Certificate("other", ("other.ucaas.test",), ()),
            Certificate("intruder", ("pstn.ucaas.test",), (PSTN,), issuer="foreign"),
        ),
        name_servers=(NAME_SERVER,),
        session_controllers=(CONTROLLER,),
        pstn_peers=(PSTN_PEER,),
        bulk=(),
        taps=(),
        paths=(),
    )
