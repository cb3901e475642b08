"""When checkpoints are read, read again and kept, with sources of the test's own."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from mixserve.api.names import ANNOTATION_KEPT, ANNOTATION_READ_AGAIN, LABEL_POOL
from mixserve.apply.errors import Unavailable
from mixserve.apply.resources import CONFIG_MAPS, POOLS
from mixserve.controller.checkpoints import checkpoints as module
from mixserve.controller.checkpoints.at_admission import KnownAtAdmission
from mixserve.controller.checkpoints.checkpoints import Checkpoints
from mixserve.controller.checkpoints.keeping import Keeper
from mixserve.controller.cluster_view import ClusterView
from mixserve.controller.object_cache import PoolKey
from mixserve.observe.kept_files import LONGEST_ENTRY, Learned, kept_data
from mixserve.observe.model_files import ModelConfigReader
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.model_source import Repository
from support.manifests import pool as made
from support.waiting_in_loop import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mixserve.api.pool import LLMServingPool

CONFIG = {"model_type": "llama"}
ON_VOLUME = Repository("pvc://models/llama")
KEY = PoolKey("ns", "chat")


def pool(*, generation: int = 1, source: str = "pvc://models/llama", **metadata: Any) -> LLMServingPool:
    parsed = made(model={"source": source})
    changes = {"namespace": "ns", "uid": "uid-chat", "generation": generation, **metadata}
    return parsed.model_copy(update={"metadata": parsed.metadata.model_copy(update=changes)})


def failed(outlook: Outlook = Outlook.LATER, detail: str = "it is not there") -> Absence:
    return Absence(outlook=outlook, detail=detail, remedy="put it there")


class Source:
    """Answers with what it has, one after the other, the last one again and again; while `open` is not set, never."""

    patience_s = 30.0
    tries = 1
    pauses_s: tuple[float, ...] = (0.0,)

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.versions: list[str] = []
        self.asked: list[Repository] = []
        self.open = asyncio.Event()
        self.open.set()

    async def read(self, _: LLMServingPool, repository: Repository, *, version: str) -> Mapping[str, Any] | Absence:
        self.versions.append(version)
        self.asked.append(repository)
        await self.open.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def being_read(self, _: Repository, *, for_long: bool) -> Absence:
        return failed(Outlook.LATER if for_long else Outlook.SOON, "it is being read")


class Server:
    """The writing half of `Connection`."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []
        self.error: Exception | None = None

    async def create(self, _: object, body: dict[str, Any], **__: Any) -> dict[str, Any]:
        return self._take(body)

    async def apply(self, _: object, body: dict[str, Any], **__: Any) -> dict[str, Any]:
        return self._take(body)

    def _take(self, body: dict[str, Any]) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        self.written.append(body)
        metadata = {**body["metadata"], "uid": "uid-kept", "resourceVersion": str(10 + len(self.written))}
        return {**body, "metadata": metadata}


class World:
    """Checkpoints with one source, and what became of them."""

    def __init__(self, source: Source | None = None, *, view: ClusterView | None = None) -> None:
        self.view = ClusterView() if view is None else view
        self.server = Server()
        self.looks: list[PoolKey] = []
        self.keeper = Keeper(self.server, view=self.view)  # type: ignore[arg-type]
        self.checkpoints = Checkpoints(
            self.view,
            host=ModelConfigReader(),
            sources={} if source is None else {"pvc": source},
            keeper=self.keeper,
            look=self.looks.append,
        )

    async def look(self, asker: LLMServingPool | None = None) -> Any:
        """What a look at the pool finds: a config, or why there is none."""
        asker = asker or pool()
        [repository] = {Repository(asker.spec.model.source)}
        config = await self.checkpoints.read(repository, asker)
        self.checkpoints.keep_only([repository], asker)
        return self.checkpoints.absences(asker).get(repository) if config is None else config

    async def news(self, count: int = 1) -> None:
        await until(lambda: len(self.looks) >= count)

    def annotate(self, text: str) -> None:
        """Ask for another reading of the pool."""
        annotations = {ANNOTATION_READ_AGAIN: text}
        metadata = {"name": "chat", "namespace": "ns", "uid": "uid-chat", "resourceVersion": "1"}
        self.view.put(POOLS, {"metadata": {**metadata, "annotations": annotations}, "spec": {}})


async def test_a_look_does_not_wait_and_is_asked_for_again_when_it_is_read() -> None:
    source = Source(CONFIG)
    source.open.clear()
    world = World(source)
    assert (await world.look()).outlook is Outlook.SOON
    assert world.looks == []
    source.open.set()
    await world.news()
    assert world.looks == [KEY]
    assert await world.look() == CONFIG
    assert source.versions == [""]


async def test_what_was_learned_is_kept_in_the_pools_config_map_and_recalled_after_a_restart() -> None:
    world = World(Source(CONFIG))
    await world.look()
    await world.news()
    await world.look()
    await until(lambda: world.server.written)
    [body] = world.server.written
    assert body["metadata"]["name"] == "chat-model-files"
    assert body["metadata"]["labels"][LABEL_POOL] == "chat"
    assert body["metadata"]["annotations"][ANNOTATION_KEPT] == "model-files"
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-chat"
    await world.look()
    after = World(Source(ValueError("read again")), view=world.view)
    assert await after.look() == CONFIG
    assert after.server.written == []


async def test_what_somebody_else_keeps_under_that_name_is_not_taken() -> None:
    world = World(Source(CONFIG))
    other = {"name": "chat-model-files", "namespace": "ns", "uid": "u", "resourceVersion": "1", "labels": {}}
    world.view.put(CONFIG_MAPS, {"metadata": other, "data": kept_data([Learned(ON_VOLUME, {"other": 1}, "")])})
    assert (await world.look()).outlook is Outlook.SOON


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"config": 3}', "[" * 100_000])
async def test_what_somebody_has_edited_is_read_again(text: str) -> None:
    world = World(Source(CONFIG))
    [name] = kept_data([Learned(ON_VOLUME, CONFIG, "")])
    metadata = {"name": "chat-model-files", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    owned = {**metadata, "ownerReferences": [{"uid": "uid-chat"}]}
    world.view.put(CONFIG_MAPS, {"metadata": owned, "data": {name: text}})
    assert (await world.look()).outlook is Outlook.SOON


def test_what_is_too_long_to_be_kept_is_left_out() -> None:
    long = {"quantization_config": "x" * LONGEST_ENTRY}
    other = Repository("pvc://models/other")
    kept = kept_data([Learned(ON_VOLUME, long, ""), Learned(other, CONFIG, "")])
    assert [json.loads(text)["source"] for text in kept.values()] == [other.source]


async def test_an_api_server_that_does_not_take_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEEP_AGAIN_S", 0.0)
    world = World(Source(CONFIG))
    world.server.error = Unavailable("down")
    await world.look()
    await world.news()
    await world.look()
    await until(lambda: not world.checkpoints._keeping)
    world.server.error = None
    assert await world.look() == CONFIG
    await until(lambda: world.server.written)


async def test_a_failure_is_told_and_it_is_read_again_after_a_pause() -> None:
    world = World(Source(failed(), failed(), CONFIG))
    await world.look()
    await world.news(2)
    assert world.looks == [KEY, KEY], "once for the failure, which stays the same, and once for the end"
    assert await world.look() == CONFIG


async def test_a_moment_of_failure_is_not_told_where_the_next_try_may_be_better() -> None:
    source = Source(failed(), CONFIG)
    source.tries = 2
    world = World(source)
    await world.look()
    await world.news()
    assert await world.look() == CONFIG


@pytest.mark.parametrize("outlook", [Outlook.NEVER, Outlook.NOT_THERE])
async def test_what_the_source_says_for_certain_is_told_at_once(outlook: Outlook) -> None:
    source = Source(failed(outlook))
    source.tries = 2
    source.pauses_s = (3600.0,)
    world = World(source)
    await world.look()
    await world.news()
    assert await world.look() == failed(outlook)
    assert len(source.versions) == 1
    world.checkpoints.close()


async def test_a_reader_that_stumbles_stops_no_pool() -> None:
    world = World(Source(ValueError("a bug"), CONFIG))
    await world.look()
    await world.news(2)
    assert await world.look() == CONFIG


async def test_a_pool_waits_only_so_long() -> None:
    source = Source(CONFIG)
    source.open.clear()
    source.patience_s = 0.01
    world = World(source)
    assert (await world.look()).outlook is Outlook.SOON
    await world.news()
    assert (await world.look()).outlook is Outlook.LATER
    source.open.set()
    await world.news(2)
    assert await world.look() == CONFIG
    assert len(source.versions) == 1


async def test_an_edit_of_the_pool_tries_at_once_what_has_failed_and_nothing_else() -> None:
    source = Source(failed())
    source.pauses_s = (3600.0,)
    world = World(source)
    await world.look()
    await world.news()
    assert await world.look() == failed()
    source.answers = [CONFIG]
    assert (await world.look(pool(generation=2))).outlook is Outlook.SOON
    await world.news(2)
    assert await world.look(pool(generation=2)) == CONFIG
    assert await world.look(pool(generation=3)) == CONFIG
    assert len(source.versions) == 2


async def test_what_the_spec_does_not_name_any_more_is_not_tried_again() -> None:
    source = Source(failed())
    world = World(source)
    await world.look()
    await world.news()
    # A pair that names another draft leaves the generation of its pools as it was.
    other = pool(source="pvc://models/other")
    await world.look(other)
    assert world.checkpoints.absences(other).keys() == {Repository("pvc://models/other")}
    before = source.asked.count(ON_VOLUME)
    await until(lambda: source.asked.count(Repository("pvc://models/other")) > 3)
    assert source.asked.count(ON_VOLUME) <= before + 1, "one that had begun, and no more"
    world.checkpoints.close()


async def test_an_annotation_asks_for_another_reading_and_until_then_the_first_one_holds() -> None:
    source = Source(CONFIG)
    world = World(source)
    await world.look()
    await world.news()
    world.annotate("2")
    source.answers = [failed(), {"model_type": "other"}]
    assert await world.look() == CONFIG
    await world.news(2)
    assert await world.look() == {"model_type": "other"}
    assert source.versions == ["", "2", "2"]


async def test_each_pool_is_read_by_itself() -> None:
    source = Source(CONFIG)
    world = World(source)
    await world.look()
    await world.look(pool(uid="another", name="another"))
    await world.news(2)
    assert sorted(world.looks) == [PoolKey("ns", "another"), KEY]


async def test_a_pool_that_is_gone_is_forgotten() -> None:
    source = Source(CONFIG)
    source.open.clear()
    world = World(source)
    await world.look()
    await asyncio.sleep(0)
    world.checkpoints.forget("uid-chat")
    world.checkpoints.forget("something else")
    assert world.checkpoints.absences(pool()) == {}
    source.open.set()
    await asyncio.sleep(0)
    assert world.looks == []


async def test_what_is_switched_off_says_so() -> None:
    world = World(None)
    found = await world.look()
    assert found.outlook is Outlook.NEVER
    assert found.detail.endswith("can't be read by the operator: volumes.enabled of its chart is false")


async def test_what_the_spec_does_not_name_any_more_is_not_said_to_be_switched_off_either() -> None:
    world = World(None)
    await world.look()
    other = pool(source="pvc://models/other")
    await world.look(other)
    assert world.checkpoints.absences(other).keys() == {Repository("pvc://models/other")}


async def test_what_was_read_before_reading_was_switched_off_stays_known() -> None:
    world = World(None)
    await world.keeper.keep(pool(), [Learned(ON_VOLUME, CONFIG, "")])
    assert await world.look() == CONFIG, "pods were made with it, and would be replaced without"
    assert world.checkpoints.absences(pool()) == {}


async def test_a_directory_is_looked_at_each_time(tmp_path: Path) -> None:
    world = World(None)
    asker = pool(source=f"host://{tmp_path}")
    assert await world.look(asker) is None
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert await world.look(asker) == {"a": 1}


class TestAtAdmission:
    async def look(self, world: World, source: str = ON_VOLUME.source) -> Any:
        known = KnownAtAdmission(ModelConfigReader(), world.keeper, kinds={"pvc"})
        config = await known.read(Repository(source), pool())
        return known.absences(pool()).get(Repository(source)) if config is None else config

    async def test_nothing_is_read_for_it(self) -> None:
        found = await self.look(World(Source(ValueError("read"))))
        assert found.outlook is Outlook.SOON

    async def test_what_is_kept_is_known(self) -> None:
        world = World(Source(CONFIG))
        await world.keeper.keep(pool(), [Learned(ON_VOLUME, CONFIG, "")])
        assert await self.look(world) == CONFIG

    async def test_what_is_switched_off_never_will_be(self) -> None:
        assert (await self.look(World(), "hf://org/Model")).outlook is Outlook.NEVER

    async def test_a_directory_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"a": 1}')
        assert await self.look(World(), f"host://{tmp_path}") == {"a": 1}


def test_two_variants_are_kept_side_by_side() -> None:
    other = Repository("hf://org/Model", "f" * 40)
    assert len(kept_data([Learned(ON_VOLUME, CONFIG, ""), Learned(other, CONFIG, "")])) == 2
