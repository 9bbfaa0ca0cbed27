"""The lab's certificate authority, and a foreign one that nobody trusts, for drills (C9).

Keys are ECDSA P-256 (RFC 8422): made in well under a millisecond, and accepted in TLS 1.2 and 1.3 by every
TLS library in the lab: OpenSSL 3.0 to 3.5, and linphone's mbedTLS.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from uclab.plan.schema.plan import Certificate

CLOCK_TOLERANCE = timedelta(days=1)
LIFETIME = timedelta(days=30)
"""A lab lives for minutes; a kept run directory can be looked at for a month."""

MAX_FILE_NAME = 255
"""Bytes of a file's name (Linux, NAME_MAX)."""
COMBINED = ".combined.pem"
ISSUERS: Mapping[str, str] = {"lab": "uclab lab CA", "foreign": "Foreign CA that nobody trusts"}


@dataclass(frozen=True)
class IssuedCertificate:
    """Files of one server certificate (PEM)."""

    name: str
    certificate: Path
    """The server's certificate followed by its issuer's."""
    key: Path
    combined: Path
    """Certificate and key in one file, as baresip's `sip_certificate` takes it."""


@dataclass(frozen=True)
class Certificates:
    """All that an authority has issued for a lab."""

    trusted: Path
    """The lab CA: what endpoints and the session controller trust."""
    foreign: Path
    """The CA of the `foreign` issuer, only for looking at."""
    issued: Mapping[str, IssuedCertificate]


@dataclass(frozen=True)
class _Issuer:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


LONGEST_COMMON_NAME = 64
"""Characters (X.520, `ub-common-name`)."""


def issue(certificates: Sequence[Certificate], folder: Path, *, group: int | None = None) -> Certificates:
    """Make both authorities and sign `certificates`.

    All files are readable by root and, if given, by `group` (a gid). The authorities'
    own keys never touch the disk: nothing can be signed after this.
    """
    folder.mkdir(parents=True, exist_ok=True)
    issuers = {name: _make_issuer(title) for name, title in ISSUERS.items()}
    trusted = _write(folder / "ca.pem", _pem(issuers["lab"].certificate), group)
    foreign = _write(folder / "foreign-ca.pem", _pem(issuers["foreign"].certificate), group)
    issued = {}
    for wanted in certificates:
        issuer, stem = issuers[wanted.issuer], _stem(wanted.name)
        key = ec.generate_private_key(ec.SECP256R1())
        chain = _pem(_sign(wanted, key, issuer)) + _pem(issuer.certificate)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        issued[wanted.name] = IssuedCertificate(
            name=wanted.name,
            certificate=_write(folder / f"{stem}.pem", chain, group),
            key=_write(folder / f"{stem}.key", secret, group),
            combined=_write(folder / f"{stem}{COMBINED}", chain + secret, group),
        )
    return Certificates(trusted, foreign, issued)


def _stem(name: str) -> str:
    """A certificate's name as that of its files, shortened where a file's name would be too long."""
    if len(name) + len(COMBINED) <= MAX_FILE_NAME:
        return name
    return f"{name[:200]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _make_issuer(title: str) -> _Issuer:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
    builder = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return _Issuer(builder.sign(key, hashes.SHA256()), key)


def _sign(wanted: Certificate, key: ec.EllipticCurvePrivateKey, issuer: _Issuer) -> x509.Certificate:
    """A server certificate; also good as a client's, because trunks check both sides (RFC 5922)."""
    names = [x509.DNSName(name) for name in wanted.dns_names]
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.addresses]
    # Names that count are in subjectAltName (RFC 6125 section 6.4.4). OpenVPN 2.6 wants a common name all the
    # same, and takes no certificate without one; longer ones than X.520 allows are left out.
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "uclab"),
            *(
                x509.NameAttribute(NameOID.COMMON_NAME, name)
                for name in (wanted.name,)
                if len(name) <= LONGEST_COMMON_NAME
            ),
        ]
    )
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(subject, issuer.certificate.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
    )
    return builder.sign(issuer.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, content: bytes, group: int | None) -> Path:
    """Readable by its owner (and group) from the first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if group is not None:
            os.fchown(file.fileno(), -1, group)
            os.fchmod(file.fileno(), 0o640)
    return path
