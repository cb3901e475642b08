from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from mixserve.apply.errors import Conflict, Forbidden, NotFound
from mixserve.controller.webhook.errors import CertificateError
from mixserve.controller.webhook.issuing import RENEWED_BEFORE_END, VALIDITY, shortcoming
from mixserve.controller.webhook.self_signed import SelfSigned

if TYPE_CHECKING:
    from mixserve.apply.resources import Resource

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMES = ("mixserve-webhook.mixserve-system.svc",)


class Stored:
    """An API server with a Secret and a configuration, both with versions."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any] | None] = {
            "secrets": {"metadata": {"resourceVersion": "1"}},
            "validatingwebhookconfigurations": {
                "metadata": {"resourceVersion": "1"},
                "webhooks": [{"name": "a", "clientConfig": {}}],
            },
        }
        self.patched: list[str] = []
        self.refuses: Exception | None = None

    async def get(self, resource: Resource, *, name: str, **_: str) -> Any:
        found = self.objects[resource.plural]
        if found is None:
            raise NotFound(name)
        return found

    async def patch(self, resource: Resource, body: Any, *, name: str, **_: str) -> Any:
        if self.refuses is not None:
            raise self.refuses
        found = self.objects[resource.plural]
        assert found is not None
        [version, *changes] = body
        if version["value"] != found["metadata"]["resourceVersion"]:
            raise Conflict(name, status=409)
        for change in changes:
            match change["path"].split("/")[1:]:
                case ["data"]:
                    found = {**found, "data": change["value"]}
                case ["webhooks", "0", "clientConfig", "caBundle"]:
                    found = {**found, "webhooks": [{"name": "a", "clientConfig": {"caBundle": change["value"]}}]}
                case path:
                    pytest.fail(f"another path: {path}")
        self.patched.append(resource.plural)
        metadata = {"resourceVersion": str(int(version["value"]) + 1)}
        self.objects[resource.plural] = {**found, "metadata": metadata}
        return self.objects[resource.plural]

    @property
    def bundle(self) -> bytes:
        configuration = self.objects["validatingwebhookconfigurations"]
        assert configuration is not None
        return base64.b64decode(configuration["webhooks"][0]["clientConfig"].get("caBundle", ""))


def replica(stored: Any, now: dt.datetime = NOW) -> SelfSigned:
    return SelfSigned(
        stored,
        namespace="mixserve-system",
        secret="mixserve-webhook",
        configuration="mixserve",
        names=NAMES,
        now=lambda: now,
    )


async def test_the_first_replica_makes_a_certificate_and_the_second_takes_it() -> None:
    stored = Stored()
    first = await replica(stored).pair()
    assert shortcoming(first, NAMES, NOW) is None
    assert stored.bundle == first.authority
    assert await replica(stored).pair() == first
    assert stored.patched == ["secrets", "validatingwebhookconfigurations"]


async def test_who_comes_second_takes_what_the_first_has_written() -> None:
    stored = Stored()
    empty = stored.objects["secrets"]
    first = await replica(stored).pair()
    written = stored.objects["secrets"]

    class Behind(Stored):
        """Shows the Secret once as it was."""

        async def get(self, resource: Resource, *, name: str, **where: str) -> Any:
            found = await super().get(resource, name=name, **where)
            return empty if found is written and not self.patched else found

    behind = Behind()
    behind.objects = stored.objects
    with pytest.raises(CertificateError, match="was just written by another replica"):
        await replica(behind).pair()
    assert await replica(stored).pair() == first


async def test_it_is_renewed_in_time_and_the_old_one_stays_trusted() -> None:
    stored = Stored()
    first = await replica(stored).pair()
    later = NOW + VALIDITY - RENEWED_BEFORE_END + dt.timedelta(hours=1)
    second = await replica(stored, later).pair()
    assert second != first
    assert first.authority in stored.bundle
    assert second.authority in stored.bundle


@pytest.mark.parametrize(
    "data", [None, {}, {"tls.crt": "AAAA"}, {"ca.crt": "?", "tls.crt": "", "tls.key": ""}, {"ca.crt": 5}]
)
async def test_what_somebody_has_put_into_the_secret_is_replaced(data: Any) -> None:
    stored = Stored()
    stored.objects["secrets"] = {"metadata": {"resourceVersion": "1"}, "data": data}
    assert shortcoming(await replica(stored).pair(), NAMES, NOW) is None


async def test_a_bundle_that_is_lost_is_put_back() -> None:
    stored = Stored()
    pair = await replica(stored).pair()
    stored.objects["validatingwebhookconfigurations"] = Stored().objects["validatingwebhookconfigurations"]
    assert await replica(stored).pair() == pair
    assert stored.bundle == pair.authority


async def test_without_a_configuration_it_serves_all_the_same() -> None:
    stored = Stored()
    stored.objects["validatingwebhookconfigurations"] = None
    with structlog.testing.capture_logs() as logs:
        assert (await replica(stored).pair()).certificate
    assert "webhook_configuration_missing" in {entry["event"] for entry in logs}


async def test_the_key_is_in_no_log_and_no_error() -> None:
    stored = Stored()
    with structlog.testing.capture_logs() as logs:
        pair = await replica(stored).pair()
    key = base64.b64encode(pair.key).decode()
    assert key not in str(logs)
    assert "PRIVATE" not in str(logs)
    stored = Stored()
    stored.refuses = Forbidden(f"what the server quotes: {key}", status=403)
    with pytest.raises(CertificateError) as refused:
        await replica(stored).pair()
    assert str(refused.value) == "secret mixserve-webhook can't be written: Forbidden 403"
    assert refused.value.__suppress_context__
