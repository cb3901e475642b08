"""The endpoint over real TLS, its certificate renewed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from mixserve.apply.errors import Unavailable
from mixserve.controller.web import ListenError
from mixserve.controller.webhook import serving
from mixserve.controller.webhook.errors import BadReviewError, CertificateError
from mixserve.controller.webhook.issuing import issue
from mixserve.controller.webhook.mounted import Mounted
from mixserve.controller.webhook.renewing import Renewal
from mixserve.controller.webhook.serving import MAX_BODY_BYTES, PATH, serve_webhook
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from mixserve.controller.webhook.issuing import ServingPair

HOST = "127.0.0.1"


def new_pair() -> ServingPair:
    return issue([HOST], dt.datetime.now(dt.UTC))


class Source:
    def __init__(self, *pairs: ServingPair | Exception) -> None:
        self.pairs = list(pairs)
        self.looks = 0

    async def pair(self) -> ServingPair:
        self.looks += 1
        found = self.pairs[0] if len(self.pairs) == 1 else self.pairs.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


async def echo(body: bytes) -> Mapping[str, Any]:
    return {"length": len(body)}


@contextlib.asynccontextmanager
async def serving_with(source: Any, answer: Any = echo) -> AsyncIterator[tuple[int, Renewal]]:
    renewal = Renewal(source, 0.02)
    endpoint = serve_webhook(host=HOST, port=0, context=renewal.context, answer=answer)
    async with endpoint as port, running(renewal.run()):
        await until(lambda: renewal.serving)
        yield port, renewal


async def post(port: int, body: Any, *authorities: bytes, path: str = PATH) -> tuple[int, str]:
    trust = ssl.create_default_context(cadata=b"".join(authorities).decode())
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"https://{HOST}:{port}{path}", data=body, ssl=trust) as answer,
    ):
        return answer.status, await answer.text()


async def test_a_question_is_answered_over_tls() -> None:
    pair = new_pair()
    async with serving_with(Source(pair)) as (port, _):
        assert await post(port, b"abc", pair.authority) == (200, '{"length": 3}')
        status, _ = await post(port, b"abc", pair.authority, path="/other")
        assert status == 404


async def test_a_huge_body_is_refused_unread() -> None:
    pair = new_pair()

    async def huge() -> AsyncIterator[bytes]:
        with contextlib.suppress(ConnectionError):
            for _ in range(MAX_BODY_BYTES // 2**16 + 2):
                yield b" " * 2**16

    async with serving_with(Source(pair)) as (port, _):
        status, text = await post(port, huge(), pair.authority)
        assert (status, text) == (413, f"the body has more than {MAX_BODY_BYTES} bytes\n")
        assert (await post(port, b"abc", pair.authority))[0] == 200


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (BadReviewError("no review"), 400, "no review\n"),
        (Unavailable("the API server is away"), 503, "the API server is away\n"),
        (RuntimeError("a bug"), 500, "500"),
    ],
)
async def test_what_goes_wrong_has_a_status(error: Exception, status: int, says: str) -> None:
    pair = new_pair()

    async def answer(_: bytes) -> Mapping[str, Any]:
        raise error

    async with serving_with(Source(pair), answer) as (port, _):
        found, text = await post(port, b"", pair.authority)
        assert found == status
        assert says in text


async def test_no_answer_in_time_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "LIMIT_S", 0.1)
    pair = new_pair()

    async def never(_: bytes) -> Mapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving_with(Source(pair), never) as (port, _):
        # More than there is room for at once: they wait, and then give up as well.
        found = await asyncio.gather(*(post(port, b"", pair.authority) for _ in range(serving.AT_ONCE + 2)))
        assert found == [(503, "no answer within 0.1 s\n")] * (serving.AT_ONCE + 2)


async def test_a_certificate_is_renewed_without_a_request_that_fails() -> None:
    old, new = new_pair(), new_pair()
    source = Source(old)
    async with serving_with(source) as (port, _):
        source.pairs = [new]
        seen = source.looks
        # As in the cluster: both are trusted as soon as there is a new one.
        while source.looks < seen + 4:
            assert (await post(port, b"", old.authority, new.authority))[0] == 200
        assert (await post(port, b"", new.authority))[0] == 200


async def test_a_source_that_fails_is_asked_again_and_changes_nothing() -> None:
    pair = new_pair()
    failure = CertificateError("none yet")
    source = Source(failure, failure, pair)
    async with serving_with(source) as (port, _):
        source.pairs = [failure]
        seen = source.looks
        await until(lambda: source.looks > seen + 2)
        assert (await post(port, b"", pair.authority))[0] == 200


async def test_a_certificate_that_openssl_refuses_is_not_served_and_ends_nothing() -> None:
    pair, other = new_pair(), new_pair()
    broken = replace(
        pair, certificate=pair.certificate + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    )
    source = Source(pair)
    async with serving_with(source) as (port, _):
        source.pairs = [broken]
        seen = source.looks
        await until(lambda: source.looks > seen + 3)
        assert (await post(port, b"", pair.authority))[0] == 200
        source.pairs = [other]
        seen = source.looks
        await until(lambda: source.looks > seen + 3)
        assert (await post(port, b"", other.authority))[0] == 200


async def test_who_sends_slowly_holds_nobody_up() -> None:
    pair, enough = new_pair(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await enough.wait()

    async with serving_with(Source(pair)) as (port, _), asyncio.TaskGroup() as group:
        for _ in range(serving.AT_ONCE):
            group.create_task(post(port, slow(), pair.authority))
        assert (await post(port, b"abc", pair.authority))[0] == 200
        enough.set()


async def test_a_mounted_certificate_is_read_when_it_comes(tmp_path: Path) -> None:
    pair = new_pair()
    with pytest.raises(CertificateError, match=r"tls.crt: No such file"):
        await Mounted(tmp_path).pair()
    (tmp_path / "tls.crt").write_bytes(pair.certificate)
    (tmp_path / "tls.key").write_bytes(new_pair().key)
    with pytest.raises(CertificateError, match="not the private key"):
        await Mounted(tmp_path).pair()
    (tmp_path / "tls.key").write_bytes(pair.key)
    async with serving_with(Mounted(tmp_path)) as (port, _):
        assert (await post(port, b"", pair.authority))[0] == 200


async def test_without_memory_files_the_key_is_on_disk_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr("os.memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    pair = new_pair()
    async with serving_with(Source(pair)) as (port, _):
        assert (await post(port, b"", pair.authority))[0] == 200
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - of a test


async def test_a_port_that_is_taken_is_refused_with_what_to_set() -> None:
    async with serving_with(Source(new_pair())) as (port, renewal):
        again = serve_webhook(host=HOST, port=port, context=renewal.context, answer=echo)
        with pytest.raises(ListenError, match="MIXSERVE_WEBHOOK_PORT"):
            await again.__aenter__()
