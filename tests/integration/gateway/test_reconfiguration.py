"""Changes while requests are coming: none of them may fail. And what outlives whom."""

from __future__ import annotations

import asyncio

import aiohttp

from mixserve.gateway.deciding import Verdict
from mixserve.plan.envoy.clusters import endpoints
from support.envoy import deciding_for, running_gateway
from support.scripted_engine import Script, scripted_engine, whole_stream
from support.tables import policy, pool, table
from support.waiting_in_loop import eventually, running

CHAT = "/v1/chat/completions"


def chat(model: str, **more) -> dict:
    return {"model": model, "messages": [], **more}


class Load:
    """Requests one after the other from several clients; who answered, and what failed."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model
        self.answered: list[str] = []
        self.failed: list[str] = []

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as clients:
            for _ in range(4):
                clients.create_task(self._client(session))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while True:
            try:
                async with session.post(self._url + CHAT, json=chat(self._model)) as response:
                    answer = await response.json()
                    (self.answered if response.status == 200 else self.failed).append(str(answer.get("model", answer)))
            except aiohttp.ClientError as error:
                self.failed.append(repr(error))

    async def more(self, requests: int = 40) -> None:
        """Wait until so many more have been answered."""
        wanted = len(self.answered) + requests

        async def enough() -> bool:
            return len(self.answered) >= wanted or bool(self.failed)

        await eventually(enough, "answers")


async def test_replicas_come_and_go_without_a_failed_request(small, large):
    async with running_gateway(table(pool("p", small))) as gateway:
        load = Load(gateway.url, "p")
        async with running(load.run()):
            for replicas in ((small, large), (large,), (small, large), (small,)) * 3:
                await gateway.apply(table(pool("p", *replicas)))
                await load.more()
        assert load.failed == []
        assert set(load.answered) == {"small", "large"}


async def test_envoy_tells_what_it_has_read(small):
    one = table(pool("p", small), pool("empty"))
    async with running_gateway(one) as gateway:
        assert await gateway.told.pools_with_endpoints() == {"@gateway", "@admin", "p"}
        first = await gateway.told.routes_version()
        await gateway.files.apply(table(pool("p", small), pool("q")))
        assert not await gateway.files.is_followed()
        await eventually(gateway.files.is_followed, "newest routes in Envoy")
        assert await gateway.told.routes_version() != first


async def test_other_pools_come_and_go_without_a_failed_request(small, large):
    async with running_gateway(table(pool("p", small))) as gateway:
        load = Load(gateway.url, "p")
        async with running(load.run()):
            for number in (1, 5, 2, 0, 3):
                others = [pool(f"q{index}", large) for index in range(number)]
                await gateway.apply(table(pool("p", small), *others))
                await load.more(10)
        assert load.failed == []


async def test_weights_share_the_requests(small, large):
    one = table(pool("p", small, large))
    async with running_gateway(one) as gateway:
        await gateway.apply(one, {small.endpoint: 1, large.endpoint: 19})
        load = Load(gateway.url, "p")
        async with running(load.run()):
            await load.more(400)
        assert load.answered.count("small") < len(load.answered) / 5


async def test_more_pools_than_a_user_has_inotify_instances(small, http):
    pools = [pool(f"p{number}", small) for number in range(200)]
    async with running_gateway(table(*pools)) as gateway:
        for one in (pools[0], pools[-1]):
            async with http.post(gateway.url + CHAT, json=chat(one.name)) as response:
                assert response.status == 200


async def test_a_new_process_that_knows_nothing_yet_takes_nothing_away(small, http):
    one = table(pool("p", small))
    async with running_gateway(one) as gateway:
        await gateway.server.stop()
        await gateway.restart_process()
        for _ in range(20):
            async with http.post(gateway.url + CHAT, json=chat("p")) as response:
                assert response.status == 200
        await gateway.apply(one)


async def test_a_replica_that_keeps_failing_is_left_out_for_a_while(small, http):
    async with scripted_engine("broken") as broken:
        broken.always = Script(die_after_chunks=-1)
        async with running_gateway(table(pool("p", small, broken))) as gateway:
            for _ in range(60):
                async with http.post(gateway.url + CHAT, json=chat("p")) as response:
                    assert (await response.json())["model"] == "small"
        assert len(broken.seen) < 10


async def test_a_new_envoy_goes_on_with_the_files(small, http):
    async with running_gateway(table(pool("p", small))) as gateway:
        await gateway.stop_envoy()
        await gateway.start_envoy()

        async def answered() -> bool:
            async with http.post(gateway.url + CHAT, json=chat("p", stream=True)) as response:
                return await response.read() == whole_stream("small")

        assert await answered()


async def test_the_process_goes_and_comes_back_under_load(small, large):
    one = table(pool("p", small), pool("q", large), policy("auto", ("q",)))
    verdict = Verdict(chain="auto/t1/q", labels={})
    async with running_gateway(one, deciding_for(verdict)) as gateway:
        named, decided = Load(gateway.url, "p"), Load(gateway.url, "auto")
        async with running(named.run()), running(decided.run()):
            await decided.more()
            await gateway.server.stop()
            await named.more(200)
            await gateway.restart_process()
            gateway.discovery.update({entry.name: endpoints(entry, {}) for entry in one.pools})
            before = len(decided.answered)
            await named.more(200)
        assert named.failed == []
        assert len(decided.answered) > before
        assert decided.failed
        assert all("cannot decide at the moment" in failure for failure in decided.failed)
