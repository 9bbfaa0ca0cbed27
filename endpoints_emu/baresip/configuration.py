"""baresip's files, written from templates: a desk phone that registers, or a trunk peer that owns telephone
numbers.

Writing is apart from starting, because the PSTN peer runs in a container that others start. The folder is
seen by baresip as `/lab`, in the device image and in the container alike.

Marking: baresip 1.1.0 marks media (`rtp_tos`) but sends SIP with DSCP 0; the plan marks that in the device's
own packet filter.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from endpoints_emu.baresip import modules
from uclab.plan.schema.plan import Endpoint

INSIDE = "/lab"
"""Where baresip sees its folder."""
RECEIVED = "received"
"""Sub-folder of the recordings."""
CONTROL_PORT = 4444
PLAYER = "recorder,ear"
"""The lab's own player: silent, until the driver has it record a call."""
MODULES = ("recorder", "flow", "messages", "once")
"""The lab's own modules, each a file `<name>.so` in baresip's folder."""
REGISTRATION_S = 270
"""Phones refresh every 4 to 5 minutes, so that no NAT or firewall on the way forgets them (provider
policy)."""
_NAMESPACE = uuid.UUID("6e0b8f0a-6f0c-5b7e-9f2d-6a1c0f6e2b11")

_templates = Environment(
    loader=PackageLoader("endpoints_emu.baresip"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Settings:
    """What a baresip needs besides its `Endpoint`."""

    ca_file: Path
    """Authorities that it trusts (PEM)."""
    nameservers: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    """E.164 numbers that a trunk peer owns; empty for a subscriber's phone."""
    listen_port: int | None = None
    """TLS port for calls that come in without a registration (trunk); None: any."""
    certificate: Path | None = None
    """Its own certificate and key in one PEM file, for those calls."""
    media_ports: tuple[int, int] = (20000, 64998)
    control_port: int = CONTROL_PORT


def account_line(endpoint: Endpoint, user: str | None = None, registrar: str | None = None) -> str:
    """The account in baresip's format; `user` replaces the account's own (a further number of a trunk),
    `registrar` the preferred one.

    All accounts carry a registration interval and priority 1, and so do not register by themselves: a
    phone's driver says when, a trunk never does. (With interval 0, baresip 1.1.0 takes calls only where the
    request URI's host is its own address literally.)
    """
    account = endpoint.account
    codecs = ",".join("G722/16000" if codec == "G722" else codec for codec in endpoint.codecs)
    parameters = [
        f'outbound="sip:{registrar or endpoint.registrar}:{endpoint.registrar_port}'
        f';transport={endpoint.transport}"',
        f"audio_codecs={codecs}",
        f"audio_player={PLAYER}",
        "dtmfmode=rtpevent",
        "answermode=manual",
        "mwi=no",
    ]
    if endpoint.media_encryption == "srtp":
        parameters.append(
            "mediaenc=srtp-mand"
        )  # RTP/SAVP (RFC 4568), AES_CM_128_HMAC_SHA1_80; nothing else is accepted
    parameters += [f"regint={REGISTRATION_S}", "prio=1", "fbregint=0"]
    if endpoint.registers:
        parameters += ["sipnat=outbound", f"auth_user={account.user}", f"auth_pass={account.password}"]
    address = f"sip:{user or account.user}@{account.domain};transport={endpoint.transport}"
    return f'"{account.display}" <{address}>;{";".join(parameters)}'


LEFTOVERS_S = 6.0
"""Without an answer of the name server, REGISTERs of attempts that were given up stay in re 2.0.1, among them
the one that takes the old registration back. It asks for the name every 4 s, and then sends them."""


def standing_accounts(endpoint: Endpoint, settings: Settings) -> tuple[str, ...]:
    """Users of the accounts that are there from the start: the numbers of a trunk; none of a phone that
    registers."""
    return settings.numbers or (() if endpoint.registers else (endpoint.account.user,))


def write_configuration(endpoint: Endpoint, folder: Path, settings: Settings) -> Sequence[str]:
    """Write all files of a baresip to `folder` and return its command line, for a root in which `folder` is
    `/lab`.

    No account is in the files (baresip 1.1.0 reads 511 characters of a line there). Its driver adds them: of
    a phone one for each registrar, so that no event of the registration is missed; of a trunk one for each
    number.
    """
    (folder / RECEIVED).mkdir(parents=True, exist_ok=True)
    (folder / "ca.pem").write_bytes(settings.ca_file.read_bytes())
    for name in MODULES:
        (folder / f"{name}.so").write_bytes(modules.compiled(modules.source_of(name)).read_bytes())
    if settings.certificate:
        (folder / "certificate.pem").write_bytes(settings.certificate.read_bytes())
    (folder / "config").write_text(
        _templates.get_template("config.j2").render(
            endpoint=endpoint,
            inside=INSIDE,
            player=PLAYER,
            modules=MODULES,
            certificate="certificate.pem" if settings.certificate else None,
            listen_port=settings.listen_port,
            media_ports=settings.media_ports,
            nameservers=settings.nameservers,
            control_port=settings.control_port,
            is_trunk=bool(settings.numbers),
            max_calls=32 if settings.numbers else 4,
        )
    )
    (folder / "accounts").write_text("")
    (folder / "contacts").write_text("")
    (folder / "uuid").write_text(
        str(uuid.uuid5(_NAMESPACE, endpoint.account.aor))
    )  # +sip.instance (RFC 5626)
    return ["/usr/bin/baresip", "-f", INSIDE]
