"""Settings of TLS, on gevent's sockets: who has to show what to whom."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from gevent import ssl as gssl


@lru_cache(maxsize=32)
def client_tls(ca_file: Path, certificate: Path | None = None, key: Path | None = None) -> Any:
    """A client's settings: TLS 1.2 or later, chain and name verified; what it shows of itself."""
    context = gssl.SSLContext(gssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = gssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cafile=str(ca_file))
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def server_tls(certificate: Path, key: Path, ca_file: Path | None = None) -> Any:
    """A server's settings; with `ca_file`, clients have to show a certificate of one of these authorities."""
    context = gssl.SSLContext(gssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = gssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if ca_file is not None:
        context.load_verify_locations(cafile=str(ca_file))
        context.verify_mode = gssl.CERT_REQUIRED
    return context


def shown_names(certificate: Any) -> set[str]:
    """The DNS names that a verified certificate is for (RFC 5922 section 7.1)."""
    return {value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"}
