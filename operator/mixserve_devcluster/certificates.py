"""The cluster's certificate authority: server and client certificates, and the service-account key pair."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from mixserve.controller.webhook.authority import CertificateAuthority, private_pem, subject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mixserve.controller.webhook.authority import KeyPair

# A development cluster is thrown away long before; there is no renewal.
_VALIDITY = dt.timedelta(days=365)


class ClusterAuthority:
    """Signs the certificates of one cluster."""

    def __init__(self) -> None:
        now = dt.datetime.now(dt.UTC)
        self._authority = CertificateAuthority("mixserve-devcluster-ca", now=now, validity=_VALIDITY)

    @property
    def certificate(self) -> bytes:
        """The authority's certificate, PEM."""
        return self._authority.certificate

    def server(self, names: Sequence[str], addresses: Sequence[str]) -> KeyPair:
        """A server certificate for DNS names and IP addresses; the first name is its common name."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        return self._authority.issue(subject(names[0]), usage=usage, names=[*names, *addresses])

    def client(self, user: str, groups: Sequence[str]) -> KeyPair:
        """A client certificate; Kubernetes takes the user from common name, the groups from organizations."""
        return self._authority.issue(subject(user, groups), usage=ExtendedKeyUsageOID.CLIENT_AUTH)


def service_account_keys() -> tuple[bytes, bytes]:
    """A new private key that signs service-account tokens, and its public key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )
    return private_pem(key), public


def write_private(path: Path, content: bytes) -> Path:
    """Write a file that only its owner may read, from its first byte on; return `path`."""
    path.unlink(missing_ok=True)

    def open_private(name: str | os.PathLike[str], flags: int) -> int:
        return os.open(name, flags | os.O_EXCL, 0o600)

    with open(path, "wb", opener=open_private) as file:
        file.write(content)
    return path
