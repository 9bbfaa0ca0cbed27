"""Real TLS without a network: both ends in memory, the records as they would be on the wire, the key log
beside."""

from __future__ import annotations

import datetime
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Issued = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(name: str, issuer: Issued | None = None) -> Issued:
    """A certificate for a DNS name, or, without issuer, an authority."""
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
    def open(certificate: Path, keylog: Path, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> TlsPipe:
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
