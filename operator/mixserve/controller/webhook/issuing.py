"""The webhook's own certificate: an authority that signs it and nothing else, and how long it is good."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from mixserve.controller.webhook.authority import CertificateAuthority, alternative, pem, subject

if TYPE_CHECKING:
    from collections.abc import Sequence

VALIDITY = dt.timedelta(days=90)
RENEWED_BEFORE_END = dt.timedelta(days=30)
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
    authority = CertificateAuthority(f"{_COMMON_NAME}-ca", now=now, validity=validity)
    pair = authority.issue(subject(_COMMON_NAME), usage=ExtendedKeyUsageOID.SERVER_AUTH, names=names)
    return ServingPair(authority=authority.certificate, certificate=pair.certificate, key=pair.key)


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
    missing = [name for name in names if alternative(name) not in covered]
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
    others = [pem(each) for each in known if each.not_valid_after_utc > now]
    return b"".join([authority, *others[: _MOST_AUTHORITIES - 1]])
