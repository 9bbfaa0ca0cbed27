"""Real TLS without a network: both ends in memory, the records as they would be on the wire, the key log
beside.

What happened once is the same each time: a certificate of a name, and the handshake of a process's n-th
connection with it. So runs that are made of the same packets have the same bytes, and what reads these need
not do so again (`tests/unit/judge/conftest.py`).
"""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.x509.oid import NameOID

Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


@cache
def issue(name: str, issuer: Issued | None = None) -> Issued:
    """The certificate of a DNS name by an issuer, or, without issuer, an authority's of that name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2049, 1, 1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def pem(issued: Issued, with_key: bool = False) -> bytes:
    """PEM text of a certificate, with its key where wanted."""
    text = issued[0].public_bytes(serialization.Encoding.PEM)
    if with_key:
        text += issued[1].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    return text


APPLICATION_DATA = 23
HEADER = 5
"""Bytes before a record's content (RFC 8446 section 5.1): type, version, length."""


class TlsSession(Protocol):
    """Both ends of a connection. What they say: (from the client?, bytes)."""

    def handshake(self) -> list[tuple[bool, bytes]]:
        """Both ends greet until they agree."""

    def send(self, from_client: bool, text: bytes) -> list[tuple[bool, bytes]]:
        """One end writes; the records that carry it."""


def tls_session(certificate: Path, keylog: Path, version: ssl.TLSVersion, number: int) -> TlsSession:
    """A run's connection of that number with the server's certificate and key from a file; the client does
    not verify. Its keys are added to `keylog`."""
    if version is not ssl.TLSVersion.TLSv1_3:
        return TlsPipe.open(certificate, keylog, version)
    greeting = _greeting(certificate.read_bytes(), number)
    with keylog.open("a") as file:
        file.write(greeting.keys)
    return Repeated(greeting)


@dataclass(frozen=True)
class Greeting:
    """A handshake that has happened (TLS 1.3): its records, and its lines of the key log."""

    wire: tuple[tuple[bool, bytes], ...]
    keys: str


@cache
def _greeting(certificate: bytes, number: int) -> Greeting:
    with TemporaryDirectory() as folder:
        pem_file, keylog = Path(folder, "server.pem"), Path(folder, "tls.keylog")
        pem_file.write_bytes(certificate)
        wire = TlsPipe.open(pem_file, keylog, ssl.TLSVersion.TLSv1_3).handshake()
        return Greeting(tuple(wire), keylog.read_text())


@dataclass
class Writer:
    """One end's records of application data (RFC 8446 section 5.2)."""

    secret: bytes
    count: int = 0

    def __post_init__(self) -> None:
        self._cipher, self._start = AESGCM(self._derived("key", 32)), self._derived("iv", 12)

    def protect(self, text: bytes) -> bytes:
        """The next record."""
        header = bytes([APPLICATION_DATA, 3, 3]) + (len(text) + 1 + 16).to_bytes(2)
        record = header + self._cipher.encrypt(self._nonce(), text + bytes([APPLICATION_DATA]), header)
        self.count += 1
        return record

    def pass_over(self, record: bytes) -> None:
        """Count a record of this end's, if it is one under these keys: session tickets are."""
        with suppress(InvalidTag):
            self._cipher.decrypt(self._nonce(), record[HEADER:], record[:HEADER])
            self.count += 1

    def _nonce(self) -> bytes:
        return (int.from_bytes(self._start) ^ self.count).to_bytes(12)

    def _derived(self, name: str, length: int) -> bytes:
        """HKDF-Expand-Label (RFC 8446 section 7.1)."""
        label = f"tls13 {name}".encode()
        info = length.to_bytes(2) + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(hashes.SHA384(), length, info).derive(self.secret)


@dataclass
class Repeated:
    """A connection that greets as it did before, and goes on with that greeting's keys."""

    greeting: Greeting
    _writers: dict[bool, Writer] = field(default_factory=dict)

    def handshake(self) -> list[tuple[bool, bytes]]:
        """As it was."""
        lines = [line.split() for line in self.greeting.keys.splitlines() if not line.startswith("#")]
        secrets = {label: bytes.fromhex(secret) for label, _, secret in lines}
        for from_client, who in ((True, "CLIENT"), (False, "SERVER")):
            self._writers[from_client] = Writer(secrets[f"{who}_TRAFFIC_SECRET_0"])
        for from_client, data in self.greeting.wire:
            for record in _records(data):
                self._writers[from_client].pass_over(record)
        return list(self.greeting.wire)

    def send(self, from_client: bool, text: bytes) -> list[tuple[bool, bytes]]:
        """One record."""
        return [(from_client, self._writers[from_client].protect(text))]


def _records(data: bytes) -> Iterator[bytes]:
    while data:
        length = HEADER + int.from_bytes(data[3:HEADER])
        yield data[:length]
        data = data[length:]


@dataclass
class TlsPipe:
    """A TLS session between a client and a server. `handshake` and the `*_send` methods give (from client?,
    bytes)."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    _to_client: ssl.MemoryBIO
    _to_server: ssl.MemoryBIO
    _from_client: ssl.MemoryBIO
    _from_server: ssl.MemoryBIO

    @staticmethod
    def open(certificate: Path, keylog: Path, version: ssl.TLSVersion) -> TlsPipe:
        """A session with the server's certificate and key from a file; the client does not verify."""
        accept = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        accept.load_cert_chain(certificate)
        connect = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        connect.check_hostname, connect.verify_mode = False, ssl.CERT_NONE
        for context in (accept, connect):
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
        accept.keylog_filename = str(keylog)
        to_client, to_server, from_client, from_server = (ssl.MemoryBIO() for _ in range(4))
        client = connect.wrap_bio(to_client, from_client)
        server = accept.wrap_bio(to_server, from_server, server_side=True)
        return TlsPipe(client, server, to_client, to_server, from_client, from_server)

    def handshake(self) -> list[tuple[bool, bytes]]:
        """Both ends greet until they agree."""
        wire: list[tuple[bool, bytes]] = []
        done = [False, False]
        for _ in range(10):
            for index, end in enumerate((self.client, self.server)):
                if not done[index]:
                    try:
                        end.do_handshake()
                        done[index] = True
                    except ssl.SSLWantReadError:
                        pass
                wire += self._move(index == 0)
            if all(done):
                return wire
        raise AssertionError("TLS handshake did not end")

    def send(self, from_client: bool, text: bytes) -> list[tuple[bool, bytes]]:
        """One end writes; the records that carry it."""
        (self.client if from_client else self.server).write(text)
        wire = self._move(from_client)
        (self.server if from_client else self.client).read(65536)
        return wire

    def _move(self, from_client: bool) -> list[tuple[bool, bytes]]:
        data = (self._from_client if from_client else self._from_server).read()
        (self._to_server if from_client else self._to_client).write(data)
        return [(from_client, data)] if data else []
