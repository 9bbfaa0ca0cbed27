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
from uclab.capture.pcapng import I64, MalformedCapture, PcapngReader
from uclab.capture.tshark import (
    DissectionError,
    all_as,
    all_values,
    close,
    first_value,
    open_capture,
)
from uclab.capture.writer import PcapngWriter

TLS_VERSIONS = {0x0300: "SSL 3.0", 0x0301: "1.0", 0x0302: "1.1", 0x0303: "1.2", 0x0304: "1.3"}
CLIENT_HELLO, SERVER_HELLO = 1, 2


@dataclass(frozen=True)
class Flow:
    """Where a message came from and went to, as seen at the tap."""

    packet: int
    """Number in the capture file from which the extract was cut."""
    time: float
    """Seconds since the epoch."""
    src: str
    sport: int
    dst: str
    dport: int


@dataclass(frozen=True)
class Handshake:
    """What a TLS server answered: the version it chose and the certificates that it showed (DER, its own
    first)."""

    at: Flow
    version: str
    cipher: str | None
    certificates: tuple[bytes, ...]


@dataclass(frozen=True)
class Crypto:
    """An `a=crypto` line (RFC 4568): the key protects what the line's sender sends."""

    tag: int
    suite: str
    inline: str
    """Base64 of master key and salt."""


@dataclass(frozen=True)
class MediaDescription:
    """An `m=audio` line of an SDP body with its keys."""

    address: str
    port: int
    profile: str
    """E.g. `RTP/SAVP`; `RTP/AVP` is unencrypted."""
    cryptos: tuple[Crypto, ...]


@dataclass(frozen=True)
class SipMessage:
    """A SIP message, decrypted."""

    at: Flow
    start_line: str
    call_id: str
    cseq: str
    """Number and method, `1 INVITE`."""
    from_user: str
    to_user: str
    media: MediaDescription | None = None

    @property
    def method(self) -> str:
        """Of the request, or of the request that is answered."""
        return self.cseq.split()[-1] if self.cseq else self.start_line.split()[0]

    @property
    def status(self) -> int | None:
        """Status code of a response; None for a request."""
        return int(self.start_line.split()[1]) if self.start_line.startswith("SIP/2.0 ") else None


@dataclass(frozen=True)
class Signalling:
    """All that was dissected at one tap."""

    handshakes: tuple[Handshake, ...]
    messages: tuple[SipMessage, ...]


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
    capture = open_capture(
        extract, display_filter="sip || tls.handshake.type == 2 || tls.handshake.type == 11",
        override_prefs={"tls.keylog_file": str(keylog)} if keylog else {},
        custom_parameters=[*all_as("tcp.port", "tls"), *all_as("tls.port", "sip")],
    )  # fmt: skip
    handshakes: list[Handshake] = []
    messages: list[SipMessage] = []
    try:
        for packet in capture:
            at = _flow(packet, numbers)
            for layer in packet.layers:
                if layer.layer_name == "tls":
                    handshakes.extend(_handshake(layer, at))
                elif layer.layer_name == "sip":
                    messages.append(_message(layer, at))
    except Exception as error:  # pyshark raises its own, asyncio's and OSError's kinds
        raise DissectionError(f"tshark on {extract}: {error}") from error
    finally:
        close(capture)
    return Signalling(_joined(handshakes), tuple(messages))


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


def _message(layer: Any, at: Flow) -> SipMessage:
    cryptos = []
    for line in all_values(layer, "sdp_media_attr"):
        name, _, rest = line.partition(":")
        parts = rest.split()
        if name == "crypto" and len(parts) >= 3 and parts[0].isdigit() and parts[2].startswith("inline:"):
            cryptos.append(Crypto(int(parts[0]), parts[1], parts[2][7:].split("|")[0]))
    media = None
    for line in all_values(layer, "sdp_media"):
        parts = line.split()
        if len(parts) >= 3 and parts[0] == "audio" and parts[1].isdigit():
            media = MediaDescription(
                first_value(layer, "sdp_connection_info_address"), int(parts[1]), parts[2], tuple(cryptos)
            )
            break
    cseq = f"{first_value(layer, 'cseq_seq')} {first_value(layer, 'cseq_method')}"
    return SipMessage(
        at,
        first_value(layer, "request_line") or first_value(layer, "status_line"),
        first_value(layer, "call_id"),
        cseq,
        first_value(layer, "from_user"),
        first_value(layer, "to_user"),
        media,
    )
