from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from mixserve_devcluster.certificates import ClusterAuthority, service_account_keys, write_private

if TYPE_CHECKING:
    from pathlib import Path


def verifier(authority: ClusterAuthority) -> PolicyBuilder:
    return PolicyBuilder().store(Store([x509.load_pem_x509_certificate(authority.certificate)]))


def test_a_server_is_believed_under_its_names_and_addresses_only() -> None:
    authority = ClusterAuthority()
    pair = authority.server(["localhost", "kubernetes.default.svc"], ["127.0.0.1"])
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    for subject in (x509.DNSName("kubernetes.default.svc"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))):
        verifier(authority).build_server_verifier(subject).verify(certificate, [])
    elsewhere = verifier(authority).build_server_verifier(x509.DNSName("example.com"))
    with pytest.raises(VerificationError):
        elsewhere.verify(certificate, [])


def test_a_certificate_of_another_authority_is_not_believed() -> None:
    certificate = x509.load_pem_x509_certificate(ClusterAuthority().server(["localhost"], []).certificate)
    localhost = verifier(ClusterAuthority()).build_server_verifier(x509.DNSName("localhost"))
    with pytest.raises(VerificationError):
        localhost.verify(certificate, [])


def test_a_client_carries_its_user_and_groups_and_is_no_server() -> None:
    authority = ClusterAuthority()
    pair = authority.client("jane", ["developers", "operators"])
    certificate = x509.load_pem_x509_certificate(pair.certificate)

    def values(oid: x509.ObjectIdentifier) -> list[str | bytes]:
        return [attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid)]

    assert values(NameOID.COMMON_NAME) == ["jane"]
    assert values(NameOID.ORGANIZATION_NAME) == ["developers", "operators"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_key_belongs_to_the_certificate() -> None:
    pair = ClusterAuthority().client("jane", [])
    key = serialization.load_pem_private_key(pair.key, None)
    assert key.public_key() == x509.load_pem_x509_certificate(pair.certificate).public_key()


def test_the_service_account_keys_belong_together() -> None:
    private, public = service_account_keys()
    key = serialization.load_pem_private_key(private, None)
    assert key.public_key() == serialization.load_pem_public_key(public)


def test_a_private_file_replaces_one_that_anybody_could_read(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old")
    path.chmod(0o644)
    with path.open() as opened_before:
        write_private(path, b"secret")
        assert opened_before.read() == "old"
    assert path.read_bytes() == b"secret"
    assert path.stat().st_mode & 0o777 == 0o600
