"""What needs a dissector: TLS handshakes, and SIP inside TLS with the lab's key log, through pyshark
(tshark's XML).

pyshark reads some 900 packets a second, so it is only given a small extract: the TCP connections of the SIP
ports at one tap (`extract_signalling`), with a display filter. tshark 4.0 dissects SIP on other ports than
5060/5061 only when told, and shows SDES keys only in its XML, not in its JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uclab.capture.headers import SYN, Headers, Mask, decode
from uclab.capture.packets import I64, MalformedCapture
from uclab.capture.pcapng import PcapngReader
from uclab.capture.sip import FIELDS, Crypto, Flow, MediaDescription, SipMessage, sip_message
from uclab.capture.tshark import DissectionError, all_as, all_values, dissected, first_value
from uclab.capture.writer import PcapngWriter

__all__ = [
    "Crypto",
    "DissectionError",
    "Flow",
    "Handshake",
    "MediaDescription",
    "Signalling",
    "SipMessage",
    "dissect",
]

TLS_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}
CLIENT_HELLO, SERVER_HELLO = 1, 2


@dataclass(frozen=True)
class Handshake:
    """What a TLS server answered: the version it chose and the certificates that it showed (DER, its own
    first)."""

    at: Flow
    version: str
    cipher: str | None
    certificates: tuple[bytes, ...]


@dataclass(frozen=True)
class Signalling:
    """All that was dissected at one tap."""

    handshakes: tuple[Handshake, ...]
    messages: tuple[SipMessage, ...]
    unread: int = 0
    """Packets of these connections that are no TLS handshake and no SIP message, or none that makes sense:
    anybody may send anything."""


def extract_signalling(
    source: Path,
    target: Path,
    ports: Sequence[int],
    interfaces: Sequence[str] = (),
    hosts: Mapping[int, int] | None = None,
) -> list[int]:
    """Copies the TCP packets of these ports (and only of these interfaces, if given); their numbers in
    `source`. `hosts` (address, and until when, in ns since the epoch): only what these say and hear until
    then."""
    numbers: list[int] = []
    reader = PcapngReader(source)
    with PcapngWriter(target, ["signalling"]) as writer:
        for packets in reader:
            columns = decode(packets)
            wanted = (np.isin(columns.sport, ports) | np.isin(columns.dport, ports)) & (columns.proto == 6)
            if interfaces:
                known = [
                    index for index, interface in enumerate(reader.interfaces) if interface.name in interfaces
                ]
                wanted &= np.isin(packets.interface, known)
            if hosts is not None:
                wanted &= _of_hosts(packets.time_ns, columns, hosts)
            for row in np.flatnonzero(wanted):
                writer.write(0, int(packets.time_ns[row]), packets.packet(int(row)))
                numbers.append(int(packets.number[row]))
    return numbers


def _of_hosts(time_ns: I64, columns: Headers, hosts: Mapping[int, int]) -> Mask:
    """Rows with payload or of a beginning that one of the hosts sent or got before its time."""
    known = np.array(sorted(hosts), np.int64)
    until = np.array([hosts[host] for host in known.tolist()], np.int64)
    found = np.zeros(len(time_ns), np.bool_)
    for address in (columns.src.astype(np.int64), columns.dst.astype(np.int64)):
        at = np.minimum(np.searchsorted(known, address), len(known) - 1)
        found |= (known[at] == address) & (time_ns <= until[at])
    worth: Mask = (columns.payload_len > 0) | ((columns.tcp_flags & SYN) > 0)
    return found & worth


def dissect(extract: Path, keylog: Path | None, numbers: Sequence[int] = ()) -> Signalling:
    """Handshakes and SIP messages of an extract, all of which is taken for TLS with SIP inside; `numbers`
    maps its packets to the file from which they were cut."""
    try:
        count = sum(len(packets) for packets in PcapngReader(extract))
    except (OSError, MalformedCapture) as error:  # tshark's own exit status gets lost in pyshark
        raise DissectionError(f"tshark cannot read {error}") from error
    if not count:
        return Signalling((), ())
    handshakes: list[Handshake] = []
    messages: list[SipMessage] = []
    unread = 0
    with dissected(
        extract, display_filter="sip || tls.handshake.type == 2 || tls.handshake.type == 11",
        override_prefs={"tls.keylog_file": str(keylog)} if keylog else {},
        custom_parameters=[*all_as("tcp.port", "tls"), *all_as("tls.port", "sip")],
    ) as packets:  # fmt: skip
        for packet in packets:
            try:
                its_handshakes, its_messages = _read(packet, numbers)
            except (ValueError, AttributeError, LookupError, TypeError):
                unread += 1  # one packet that says nonsense is no reason not to read the others
                continue
            handshakes += its_handshakes
            messages += its_messages
            unread += not (its_handshakes or its_messages)
    return Signalling(_joined(handshakes), tuple(messages), unread)


def _read(packet: Any, numbers: Sequence[int]) -> tuple[list[Handshake], list[SipMessage]]:
    """What one packet says. Raises `ValueError` and its like where it does not make sense."""
    at = _flow(packet, numbers)
    handshakes: list[Handshake] = []
    messages: list[SipMessage] = []
    for layer in packet.layers:
        if layer.layer_name == "tls":
            handshakes.extend(_handshake(layer, at))
        elif layer.layer_name == "sip":
            fields = {name: all_values(layer, name) for name in FIELDS}
            if (message := sip_message(fields, at)) is not None:
                messages.append(message)
    return handshakes, messages


def _flow(packet: Any, numbers: Sequence[int]) -> Flow:
    number = int(packet.number)
    number = numbers[number - 1] if 0 < number <= len(numbers) else number
    return Flow(
        number,
        float(packet.sniff_timestamp),
        str(packet.ip.src),
        int(packet.tcp.srcport),
        str(packet.ip.dst),
        int(packet.tcp.dstport),
    )


def _handshake(layer: Any, at: Flow) -> Iterator[Handshake]:
    kinds = {int(kind) for kind in all_values(layer, "handshake_type")}
    certificates = tuple(bytes.fromhex(text.replace(":", "")) for text in _der(layer))
    if SERVER_HELLO in kinds:
        legacy = int(first_value(layer, "handshake_version") or "0", 0)
        chosen = [int(v, 0) for v in all_values(layer, "handshake_extensions_supported_version")]
        version = chosen[0] if chosen else legacy
        yield Handshake(
            at,
            TLS_VERSIONS.get(version, hex(version)),
            first_value(layer, "handshake_ciphersuite") or None,
            certificates,
        )
    elif certificates:
        yield Handshake(at, "", None, certificates)


def _der(layer: Any) -> list[str]:
    container = layer.get_field("handshake_certificate")
    return [str(value.get_default_value()) for value in container.all_fields] if container is not None else []


def _joined(handshakes: Sequence[Handshake]) -> tuple[Handshake, ...]:
    """Certificates that came in a packet of their own belong to the server hello before them."""
    joined: list[Handshake] = []
    for handshake in handshakes:
        if handshake.version:
            joined.append(handshake)
            continue
        for index in range(len(joined) - 1, -1, -1):
            hello = joined[index]
            ends = (hello.at.src, hello.at.sport, hello.at.dst, hello.at.dport)
            if ends == (handshake.at.src, handshake.at.sport, handshake.at.dst, handshake.at.dport):
                certificates = hello.certificates + handshake.certificates
                joined[index] = Handshake(hello.at, hello.version, hello.cipher, certificates)
                break
    return tuple(joined)
