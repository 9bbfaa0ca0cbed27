"""The lab's certificate authority: what it signs verifies, what the foreign one signs does not."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from cloud_core.authority import Certificates, issue
from uclab.plan.schema.plan import Certificate

SERVER = Certificate("sbc", ("sip.ucaas.test", "ucaas.test"), ("198.18.10.10",))
FOREIGN = Certificate("impostor", ("sip.ucaas.test",), ("198.18.10.10",), issuer="foreign")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return issue((SERVER, FOREIGN), tmp_path_factory.mktemp("pki"))


def handshake(
    certificates: Certificates, server: str, name: str, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> str:
    """TLS between two contexts in memory; the version, or the verification error."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(certificates.issued[server].certificate, certificates.issued[server].key)
    trusting = ssl.create_default_context(cafile=str(certificates.trusted))
    trusting.maximum_version = newest
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    answering = accepting.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return str(client.version())


@pytest.mark.req("C9.1")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["sip.ucaas.test", "ucaas.test", "198.18.10.10"])
def test_server_is_verified_by_each_of_its_names(
    certificates: Certificates, name: str, newest: ssl.TLSVersion
) -> None:
    assert handshake(certificates, "sbc", name, newest=newest) == newest.name.replace("_", ".")


@pytest.mark.req("C9.1")
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_server_with_the_longest_name_of_dns_is_verified_by_it(
    tmp_path: Path, newest: ssl.TLSVersion
) -> None:
    # given a name of 253 characters, more than a common name takes (X.520: 64), or a file's with an ending
    name = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 56, "test"])
    assert len(name) == 253
    certificates = issue((Certificate(f"{name}.x", (name,), ("198.18.10.10",)),), tmp_path)
    # when a client connects to it by that name, then it is taken for who it is
    assert handshake(certificates, f"{name}.x", name, newest=newest) == newest.name.replace("_", ".")
    # and its certificate says so nowhere else
    issued = x509.load_pem_x509_certificate(certificates.issued[f"{name}.x"].certificate.read_bytes())
    assert issued.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME) == []


@pytest.mark.req("C9.1")
def test_server_is_refused_under_another_name(certificates: Certificates) -> None:
    assert "sip.example.test" in handshake(certificates, "sbc", "sip.example.test")


@pytest.mark.req("C9.1")
def test_right_name_signed_by_the_foreign_authority_is_refused(certificates: Certificates) -> None:
    assert "self-signed certificate in certificate chain" in handshake(
        certificates, "impostor", "sip.ucaas.test"
    )


def test_private_keys_are_for_root_and_the_service_alone(tmp_path: Path) -> None:
    # Given a group that the service belongs to
    issued = issue((SERVER,), tmp_path, group=0).issued["sbc"]
    # Then nobody else may read any file: key, certificate, or both in one
    for path in (issued.key, issued.combined, issued.certificate):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_authorities_keep_no_key_on_disk(tmp_path: Path) -> None:
    certificates = issue((), tmp_path)
    assert "PRIVATE" not in certificates.trusted.read_text() + certificates.foreign.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ca.pem", "foreign-ca.pem"]


def test_combined_file_is_what_baresip_reads(certificates: Certificates) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.issued["sbc"].combined)
