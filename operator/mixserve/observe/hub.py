"""Read what there is to know of a checkpoint on the Hugging Face hub, or on a mirror of it.

Only the small files of a pinned commit are fetched, each with a limit on its size. `huggingface_hub` knows the hub's
URLs and what its refusals mean; the requests are made here, since its downloads have no limit.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx2
from huggingface_hub import hf_hub_url
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError
from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # it is loaded when it is used

from mixserve.observe.checkpoint import (
    CONFIG,
    LARGE,
    QUANTIZATION,
    File,
    NoConfigError,
    Unread,
    config_of,
    limits,
    with_index,
    with_quantization,
    with_tokenizer,
)
from mixserve.observe.hub_refusals import no_answer, no_model, refusal
from mixserve.observe.tokenizer import SPECIAL_TOKENS, TOKENIZER, TOKENIZER_CONFIG
from mixserve.plan.absence import Absence
from mixserve.plan.checkpoint_size import INDEX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.observe.hub_cache import HubCache
    from mixserve.plan.model_source import Repository

HUB = "hf://"

# To a hub that is there, a connection takes a tenth of a second; each piece of an answer too.
_TIMEOUT = httpx2.Timeout(10.0, connect=5.0)
# All files of a checkpoint, also where its tokenizer comes at 1 MB/s and others come before it.
LONGEST_READ_S = 120.0
# Checkpoints at a time; each takes up to five requests.
_MOST_READS = 8
# In memory at a time.
_MOST_LARGE_FILES = 2
# In memory, once read.
_MOST_KNOWN = 1000
_NOT_FOUND = 404
# Only the hub has it: without it a 404 may come from anything that answers at that address.
_ERROR = "X-Error-Code"


class HubReader:
    """Reads checkpoints of one hub.

    Args:
        endpoint: its URL.
        cache: keeps what was read.
        gives_up: whether a hub that once was not reached is not tried again, for people who wait for all of it.
    """

    def __init__(self, endpoint: str, *, cache: HubCache | None, gives_up: bool = False) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._cache = cache
        self._gives_up = gives_up
        self._unreachable: Absence | None = None
        self._reads = asyncio.Semaphore(_MOST_READS)
        self._known: dict[str, asyncio.Task[Mapping[str, Any] | Absence]] = {}
        self._large_files = asyncio.Semaphore(_MOST_LARGE_FILES)
        # A proxy as the environment has it; the token goes to no other host that an answer leads to.
        self._client = httpx2.AsyncClient(timeout=_TIMEOUT, follow_redirects=True, max_redirects=5)

    async def close(self) -> None:
        """End all reading, and close all connections."""
        for task in self._known.values():
            task.cancel()
        await self._client.aclose()

    async def read(
        self,
        repository: Repository,
        *,
        token: str | None,
        scope: str = "",
        tokenizer: bool = True,
    ) -> Mapping[str, Any] | Absence:
        """The decoded config.json of a checkpoint, with what there is to know of weights and tokenizer; or why not.

        Args:
            repository: an `hf://` source at a revision.
            token: sent to the hub, or None.
            scope: whose token it is: what was read with one is not told to others. Empty where there is none.
            tokenizer: whether to read the tokenizer, which is the longest of the files.
        """
        key = f"{self._endpoint} {repository.source}@{repository.revision} {tokenizer} {scope}"
        task = self._known.get(key)
        if task is None:
            read = self._read_once(key, repository, token, tokenizer=tokenizer)
            task = self._known[key] = asyncio.create_task(read, name=f"read {repository}")
            if len(self._known) > _MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
        try:
            # Others may wait for the same one.
            return await asyncio.shield(task)
        finally:
            if _has_failed(task) and self._known.get(key) is task:
                del self._known[key]

    async def _read_once(
        self,
        key: str,
        repository: Repository,
        token: str | None,
        *,
        tokenizer: bool,
    ) -> Mapping[str, Any] | Absence:
        kept = None if self._cache is None else await asyncio.to_thread(self._cache.get, key)
        if kept is not None:
            return kept
        async with self._reads:
            if self._gives_up and self._unreachable is not None:
                return self._unreachable
            found = await self._read_or_say_why(repository, token, tokenizer=tokenizer)
        if self._cache is not None and not isinstance(found, Absence):
            await asyncio.to_thread(self._cache.put, key, found)
        return found

    async def _read_or_say_why(
        self,
        repository: Repository,
        token: str | None,
        *,
        tokenizer: bool,
    ) -> Mapping[str, Any] | Absence:
        try:
            async with asyncio.timeout(LONGEST_READ_S):
                return await self._read(repository, token, tokenizer=tokenizer)
        except TimeoutError:
            return no_answer(self._endpoint, f"{repository} was not read within {LONGEST_READ_S:.0f} s")
        except HfHubHTTPError as error:
            return refusal(error, repository, endpoint=self._endpoint, has_token=token is not None)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            detail = f"{self._endpoint} can't be reached ({type(error).__name__})"
            self._unreachable = no_answer(self._endpoint, detail)
            return self._unreachable
        except NoConfigError as error:
            return no_model(repository, str(error))

    async def _read(
        self,
        repository: Repository,
        token: str | None,
        *,
        tokenizer: bool,
    ) -> dict[str, Any]:
        most = limits(with_tokenizer=tokenizer)
        config = config_of(await self._file(repository, CONFIG, token, most_bytes=most.pop(CONFIG)))
        names = [name for name in most if name not in LARGE]
        reads = (self._file(repository, name, token, most_bytes=most[name]) for name in names)
        small = dict(zip(names, await asyncio.gather(*reads), strict=True))
        config = with_quantization(config, small[QUANTIZATION])
        async with self._large_files:
            content = await self._file(repository, INDEX, token, most_bytes=most[INDEX])
            config = await asyncio.to_thread(with_index, config, content)
        if not tokenizer:
            return config
        async with self._large_files:
            content = await self._file(repository, TOKENIZER, token, most_bytes=most[TOKENIZER])
            return await asyncio.to_thread(
                with_tokenizer,
                config,
                content,
                tokenizer_config=small[TOKENIZER_CONFIG],
                special_tokens=small[SPECIAL_TOKENS],
            )

    async def _file(
        self,
        repository: Repository,
        name: str,
        token: str | None,
        *,
        most_bytes: int,
    ) -> File:
        """One file; None where the repository has none of this name."""
        repo_id = repository.source.removeprefix(HUB)
        url = hf_hub_url(repo_id, name, revision=repository.revision, endpoint=self._endpoint)
        # The library's own headers tell more about this machine than a hub needs to know. An answer that is compressed
        # might be of any length.
        headers = {"user-agent": f"mixserve/{version('mixserve')}", "accept-encoding": "identity"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        async with self._client.stream("GET", url, headers=headers) as response:
            try:
                hf_raise_for_status(_without_body(response))
            except EntryNotFoundError:
                return None
            except HfHubHTTPError:
                # A mirror that is no more than a web server says only this of a file that is not there.
                if response.status_code == _NOT_FOUND and name != CONFIG and _ERROR not in response.headers:
                    return None
                raise
            return await _body(response, most_bytes)


def _has_failed(task: asyncio.Task[Mapping[str, Any] | Absence]) -> bool:
    if not task.done():
        return False
    return task.cancelled() or task.exception() is not None or isinstance(task.result(), Absence)


def _without_body(response: httpx2.Response) -> httpx2.Response:
    """What an answer says of itself; its body may be of any length."""
    headers = {name: response.headers[name] for name in (_ERROR, "X-Error-Message") if name in response.headers}
    return httpx2.Response(response.status_code, headers=headers, request=response.request)


async def _body(response: httpx2.Response, most_bytes: int) -> File:
    content = bytearray()
    async for piece in response.aiter_raw(2**16):
        content += piece
        if len(content) > most_bytes:
            return Unread.TOO_LONG
    return bytes(content)
