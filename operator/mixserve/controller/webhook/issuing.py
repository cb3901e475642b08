"""The webhook's own certificate: an authority that signs it and nothing else, and how long it is good."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence

VALIDITY = dt.timedelta(days=90)
RENEWED_BEFORE_END = dt.timedelta(days=30)
# Clocks of nodes differ a little.
_BACKDATING = dt.timedelta(minutes=5)
_COMMON_NAME = "mixserve-webhook"
# The authority of the certificate that is served, the one before it, and one for two operators that disagree.
_MOST_AUTHORITIES = 3


@dataclass(frozen=True, kw_only=True)
class ServingPair:
    """A certificate and its private key, both PEM.

    Attributes:
        authority: the certificate of who has signed it; empty where somebody else looks after that.
        certificate: with intermediate ones after it, if there are any.
        key: the private key, which nothing shows.
    """

    authority: bytes = b""
    certificate: bytes
    key: bytes = field(repr=False)


def issue(names: Sequence[str], now: dt.datetime, *, validity: dt.timedelta = VALIDITY) -> ServingPair:
    """A new certificate for DNS names and IP addresses, of a new authority whose key nobody keeps."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ends = now + validity
    authority_name = _name(f"{_COMMON_NAME}-ca")
    authority = (
        _builder(authority_key.public_key(), subject=authority_name, issuer=authority_name, now=now, ends=ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        _builder(key.public_key(), subject=_name(_COMMON_NAME), issuer=authority_name, now=now, ends=ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(signed_by, critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return ServingPair(authority=_pem(authority), certificate=_pem(certificate), key=_private_pem(key))


def shortcoming(pair: ServingPair, names: Sequence[str], now: dt.datetime) -> str | None:
    """Why a pair should be replaced by a new one, or None."""
    try:
        authority, certificate = (x509.load_pem_x509_certificate(pem) for pem in (pair.authority, pair.certificate))
        certificate.verify_directly_issued_by(authority)
        covered = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return "it is no certificate of its authority"
    if not belongs_together(pair):
        return "its private key is another one's"
    if now < certificate.not_valid_before_utc or now > certificate.not_valid_after_utc - RENEWED_BEFORE_END:
        return "it ends soon, or has not begun"
    missing = [name for name in names if _alternative(name) not in covered]
    return f"it is not for {', '.join(missing)}" if missing else None


def belongs_together(pair: ServingPair) -> bool:
    """Whether the private key is the certificate's."""
    try:
        key = serialization.load_pem_private_key(pair.key, None)
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        return bool(key.public_key() == certificate.public_key())
    except (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
    ):  # no PEM, or with a password; what it says may show what was read
        return False


def end_of(pair: ServingPair) -> dt.datetime:
    """When the certificate ends."""
    return x509.load_pem_x509_certificate(pair.certificate).not_valid_after_utc


def with_authority(bundle: bytes, authority: bytes, now: dt.datetime) -> bytes:
    """A bundle of authorities that has this one: what it has, if so; else this one before the newest that still count.

    Those before it stay, since a replica may serve with one of their certificates for a while.
    """
    if authority in bundle:
        return bundle
    known: list[x509.Certificate] = []
    with contextlib.suppress(ValueError):  # empty, or written by somebody who meant something else
        known = x509.load_pem_x509_certificates(bundle)
    others = [_pem(each) for each in known if each.not_valid_after_utc > now]
    return b"".join([authority, *others[: _MOST_AUTHORITIES - 1]])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    public_key: ec.EllipticCurvePublicKey,
    *,
    subject: x509.Name,
    issuer: x509.Name,
    now: dt.datetime,
    ends: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATING)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
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


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
