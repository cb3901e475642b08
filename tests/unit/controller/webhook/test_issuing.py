from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mixserve.controller.webhook.issuing import (
    RENEWED_BEFORE_END,
    VALIDITY,
    belongs_together,
    end_of,
    issue,
    shortcoming,
    with_authority,
)

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMES = ("mixserve-webhook.mixserve-system.svc", "127.0.0.1")
PAIR = issue(NAMES, NOW)


def test_a_new_certificate_is_good_until_it_is_renewed() -> None:
    renewed_at = NOW + VALIDITY - RENEWED_BEFORE_END
    assert shortcoming(PAIR, NAMES, NOW) is None
    assert shortcoming(PAIR, NAMES[:1], renewed_at) is None
    assert shortcoming(PAIR, NAMES, renewed_at + dt.timedelta(seconds=1)) == "it ends soon, or has not begun"
    assert shortcoming(PAIR, NAMES, NOW - dt.timedelta(days=1)) == "it ends soon, or has not begun"
    assert end_of(PAIR) == NOW + VALIDITY


def test_another_name_needs_another_certificate() -> None:
    assert shortcoming(PAIR, [*NAMES, "other.svc", "::1"], NOW) == "it is not for other.svc, ::1"


OTHER = issue(NAMES, NOW)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"certificate": b""}, "it is no certificate of its authority"),
        ({"certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}, "no certificate"),
        ({"authority": OTHER.authority}, "it is no certificate of its authority"),
        ({"certificate": PAIR.authority}, "it is no certificate of its authority"),
        ({"key": OTHER.key}, "its private key is another one's"),
        ({"key": b"nonsense"}, "its private key is another one's"),
    ],
)
def test_what_somebody_has_put_there_is_replaced(change: dict[str, bytes], says: str) -> None:
    assert says in (shortcoming(replace(PAIR, **change), NAMES, NOW) or "")


def test_the_key_is_shown_nowhere() -> None:
    assert b"PRIVATE KEY" in PAIR.key
    assert "key" not in repr(PAIR).replace("CERTIFICATE", "")
    assert belongs_together(PAIR)


def authorities(bundle: bytes) -> list[bytes]:
    return [each.public_bytes(Encoding.PEM) for each in x509.load_pem_x509_certificates(bundle)]


def test_a_bundle_keeps_the_authorities_before() -> None:
    first = with_authority(b"", PAIR.authority, NOW)
    assert authorities(first) == [PAIR.authority]
    both = with_authority(first, OTHER.authority, NOW)
    assert authorities(both) == [OTHER.authority, PAIR.authority]
    # What is there already is not moved: two replicas would write in turns.
    assert with_authority(both, PAIR.authority, NOW) == both


def test_a_bundle_drops_what_has_ended_and_what_is_too_many() -> None:
    later = NOW + VALIDITY + dt.timedelta(days=1)
    newer = issue(NAMES, later)
    assert authorities(with_authority(PAIR.authority, newer.authority, later)) == [newer.authority]
    more = [issue(NAMES, NOW).authority for _ in range(4)]
    bundle = b""
    for each in more:
        bundle = with_authority(bundle, each, NOW)
    assert authorities(bundle) == more[:0:-1]


def test_what_is_no_bundle_is_replaced() -> None:
    assert authorities(with_authority(b"Cg==", PAIR.authority, NOW)) == [PAIR.authority]
