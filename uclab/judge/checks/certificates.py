"""Certificates as a TLS server showed them, or as a run's files have them. Anybody may show anything: what
cannot be read is said, and is never an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion),
    *(x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)


class BadCertificate(Exception):
    """Something that is no certificate, or none that can be read; the message says why."""


@dataclass(frozen=True)
class Certificate:
    """What of a certificate matters."""

    names: tuple[str, ...]
    """DNS names of its subjectAltName."""
    subject: str
    issuer: str
    begins: datetime
    ends: datetime
    loaded: x509.Certificate

    def signed_by(self, issuer: Certificate) -> bool:
        """Whether the issuer's key made its signature, and its name is right."""
        try:
            self.loaded.verify_directly_issued_by(issuer.loaded)
        except (InvalidSignature, *UNREADABLE):
            return False
        return True


def read_der(der: bytes) -> Certificate:
    """A certificate of a handshake. Raises `BadCertificate`."""
    try:
        return _read(x509.load_der_x509_certificate(der))
    except UNREADABLE as error:
        raise BadCertificate(_short(error)) from error


def read_pem(pem: bytes) -> Certificate:
    """The authority's certificate among a run's files. Raises `BadCertificate`."""
    try:
        return _read(x509.load_pem_x509_certificate(pem))
    except UNREADABLE as error:
        raise BadCertificate(_short(error)) from error


def _read(loaded: x509.Certificate) -> Certificate:
    return Certificate(
        _names(loaded),
        loaded.subject.rfc4514_string(),
        loaded.issuer.rfc4514_string(),
        loaded.not_valid_before_utc,
        loaded.not_valid_after_utc,
        loaded,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
