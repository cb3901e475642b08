"""A certificate authority: its private key stays in this process's memory."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

# Clocks of machines differ a little, and may be set back.
_BACKDATING = dt.timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM; nothing shows the key."""

    certificate: bytes
    key: bytes = field(repr=False)


class CertificateAuthority:
    """Signs certificates that end when its own does.

    Args:
        common_name: its name.
        now: when its certificates begin.
        validity: how long they are good.
    """

    def __init__(self, common_name: str, *, now: dt.datetime, validity: dt.timedelta) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = subject(common_name)
        self._begins, self._ends = now - _BACKDATING, now + validity
        self.certificate = pem(
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(
        self,
        owner: x509.Name,
        *,
        usage: x509.ObjectIdentifier,
        names: Sequence[str] = (),
    ) -> KeyPair:
        """A certificate with a new key.

        Args:
            owner: whose it is.
            usage: what it may be used for.
            names: DNS names and IP addresses that it is good for.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(owner, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            # Python 3.13 and later refuse a chain without it (VERIFY_X509_STRICT).
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            alternatives = x509.SubjectAlternativeName([alternative(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return KeyPair(certificate=pem(builder.sign(self._key, hashes.SHA256())), key=private_pem(key))

    def _builder(self, owner: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(owner)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begins)
            .not_valid_after(self._ends)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )


def subject(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    """Who a certificate is about."""
    belongs_to = (x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations)
    return x509.Name([*belongs_to, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def alternative(name: str) -> x509.GeneralName:
    """A DNS name or an IP address, whichever it is."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as text, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
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
