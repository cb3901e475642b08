"""From body to answer, with an API server that has lists and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.names import ANNOTATION_LAST_VALID_SPEC, LABEL_POOL
from mixserve.apply.errors import NotFound, Unavailable
from mixserve.catalog.built_in import ACCELERATORS_FOLDER, FORMATS_FOLDER, manifests
from mixserve.controller.webhook.answering import Answerer
from mixserve.controller.webhook.judging import Judge
from mixserve.observe.kept_files import Learned, kept_data
from mixserve.plan.model_source import Repository
from support.admission import review_of
from support.model_configs import LLAMA_3_1_8B
from support.pairs import pair_manifest
from support.pool_manifests import pool, variant

if TYPE_CHECKING:
    from mixserve.apply.resources import Resource


def stored(body: dict[str, Any], *, namespace: str | None = None) -> dict[str, Any]:
    name = body["metadata"]["name"]
    metadata = {"uid": f"uid-{name}", "resourceVersion": "5", "generation": 1, **body["metadata"]}
    metadata["creationTimestamp"] = "2026-01-01T00:00:00Z"
    return {**body, "metadata": metadata | ({"namespace": namespace} if namespace else {})}


class Lists:
    """The reading half of `Connection`."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {
            "quantizationformats": [stored(yaml.safe_load(text)) for text in manifests(FORMATS_FOLDER).values()],
            "acceleratorclasses": [stored(yaml.safe_load(text)) for text in manifests(ACCELERATORS_FOLDER).values()],
            "llmservingpools": [],
            "speculativepairs": [],
            "serviceaccounts": [],
        }
        self.named: dict[str, dict[str, Any]] = {}
        self.read: Counter[str] = Counter()

    async def get(self, resource: Resource, *, namespace: str = "", name: str = "", **_: str) -> Any:
        if name:
            if name not in self.named:
                raise NotFound("none", status=404)
            return self.named[name]
        self.read[resource.plural] += 1
        assert (namespace == "team") is resource.namespaced
        return {"metadata": {"resourceVersion": "9"}, "items": self.objects[resource.plural]}


@pytest.fixture
def lists() -> Lists:
    return Lists()


@pytest.fixture
def counted() -> Counter[str]:
    return Counter()


@pytest.fixture
def answerer(lists: Lists, counted: Counter[str]) -> Answerer:
    return Answerer(Judge(lists), lambda outcome: counted.update([outcome]))  # type: ignore[arg-type]


async def ask(answerer: Answerer, review: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(json.dumps(await answerer.answer(json.dumps(review).encode())))
    return dict(answer["response"])


def fields(response: dict[str, Any]) -> list[str]:
    return [cause["field"] for cause in response["status"]["details"]["causes"]]


async def test_a_good_pool_is_let_in(answerer: Answerer, counted: Counter[str]) -> None:
    assert await ask(answerer, review_of(pool())) == {"uid": "question", "allowed": True}
    assert counted == {"allowed": 1}


async def test_a_bad_one_is_refused_with_everything_that_is_wrong(answerer: Answerer, counted: Counter[str]) -> None:
    bad = pool(
        "chat", variant("a", quantization="int3"), variant("b", accelerator="tpu"), engine={"args": ["--port=1"]}
    )
    response = await ask(answerer, review_of(bad))
    assert not response["allowed"]
    assert fields(response) == ["spec.engine.args[0]", "spec.variants[0].quantization", "spec.variants[1].accelerator"]
    assert counted == {"denied": 1}


async def test_what_is_only_worth_knowing_is_a_warning(answerer: Answerer) -> None:
    response = await ask(answerer, review_of(pool(engine={"version": "0.99.0"})))
    assert response["allowed"]
    [warning] = response["warnings"]
    assert warning.startswith("spec.engine.version: vllm 0.99.0 is not known")


class TestModelsThatAreReadElsewhere:
    """The leading operator reads them once the pool is stored; here only what it has learned is known."""

    @staticmethod
    def chat(**engine: Any) -> dict[str, Any]:
        made = pool("chat", variant(accelerator="l4", tensorParallel="auto"), engine=engine)
        made["spec"]["model"] = {"source": "pvc://models/llama"}
        return made

    @pytest.fixture
    def answerer(self, lists: Lists, counted: Counter[str]) -> Answerer:
        judge = Judge(lists, kinds={"pvc"})  # type: ignore[arg-type]
        return Answerer(judge, lambda outcome: counted.update([outcome]))

    async def test_auto_is_let_in_without_a_warning(self, answerer: Answerer) -> None:
        assert await ask(answerer, review_of(self.chat())) == {"uid": "question", "allowed": True}

    async def test_an_edit_is_held_against_what_was_learned(self, answerer: Answerer, lists: Lists) -> None:
        metadata = {"name": "chat-model-files", "ownerReferences": [{"uid": "uid-chat"}], "resourceVersion": "7"}
        data = kept_data([Learned(Repository("pvc://models/llama"), LLAMA_3_1_8B, "")])
        kept = {"metadata": {**metadata, "namespace": "team", "uid": "u"}, "data": data}
        lists.named["chat-model-files"] = kept
        before = self.chat(maxModelLen=8192)
        lists.objects["llmservingpools"] = [stored(before, namespace="team")]
        good = review_of(self.chat(maxModelLen=4096), before=before, uid="uid-chat")
        bad = review_of(self.chat(maxModelLen=10**6), before=before, uid="uid-chat")
        assert (await ask(answerer, good))["allowed"]
        assert not (await ask(answerer, bad))["allowed"]

    async def test_auto_is_refused_where_nobody_reads(self, lists: Lists) -> None:
        answerer = Answerer(Judge(lists), lambda _: None)  # type: ignore[arg-type]
        response = await ask(answerer, review_of(self.chat()))
        assert fields(response) == ["spec.variants[0].tensorParallel"]


async def test_a_spec_that_cannot_be_read_is_refused_without_a_look_at_the_cluster(
    answerer: Answerer, lists: Lists
) -> None:
    bad = pool()
    bad["spec"]["variants"][0]["fromTheFuture"] = True
    assert fields(await ask(answerer, review_of(bad))) == ["spec.variants[0].fromTheFuture"]
    assert not lists.read


async def test_an_edit_that_leaves_the_spec_alone_costs_nothing(
    answerer: Answerer, lists: Lists, counted: Counter[str]
) -> None:
    bad = pool("chat", variant(quantization="int3"))
    assert (await ask(answerer, review_of(bad, before=bad, labels={"a": "b"})))["allowed"]
    assert not lists.read
    assert counted == {"unchanged": 1}


async def test_an_edit_is_judged_as_it_shall_be_not_as_it_is(answerer: Answerer, lists: Lists) -> None:
    bad = pool("chat", variant(quantization="int3"))
    lists.objects["llmservingpools"] = [stored(bad, namespace="team")]
    assert (await ask(answerer, review_of(pool(), before=bad, uid="uid-chat")))["allowed"]
    assert not (await ask(answerer, review_of(bad, before=pool(), uid="uid-chat")))["allowed"]


async def test_a_new_pool_takes_no_name_from_another(answerer: Answerer, lists: Lists) -> None:
    lists.objects["llmservingpools"] = [stored(pool("first", servedNames=["model"]), namespace="team")]
    # Created in the same second, and first in the alphabet.
    response = await ask(
        answerer, review_of(pool("a", servedNames=["model"]), creationTimestamp="2026-01-01T00:00:00Z")
    )
    assert fields(response) == ["spec.servedNames[0]"]
    assert "first answers for the model name model" in response["status"]["message"]
    assert lists.read["serviceaccounts"] == 1


async def test_an_older_pool_takes_no_name_that_another_serves_by(answerer: Answerer, lists: Lists) -> None:
    younger = stored(pool("young", servedNames=["model"]), namespace="team")
    younger["metadata"]["creationTimestamp"] = "2026-06-01T00:00:00Z"
    account = {
        "metadata": {
            "name": "young",
            "namespace": "team",
            "uid": "u",
            "resourceVersion": "6",
            "labels": {LABEL_POOL: "young"},
            "ownerReferences": [{"uid": "uid-young"}],
            "annotations": {ANNOTATION_LAST_VALID_SPEC: json.dumps(younger["spec"])},
        }
    }
    edited = review_of(
        pool("old", servedNames=["model"]),
        before=pool("old"),
        uid="uid-old",
        creationTimestamp="2026-01-01T00:00:00Z",
    )
    lists.objects["llmservingpools"] = [younger, stored(pool("old"), namespace="team")]
    assert (await ask(answerer, edited))["allowed"]
    lists.objects["serviceaccounts"] = [account]
    assert fields(await ask(answerer, edited)) == ["spec.servedNames[0]"]


async def test_without_the_catalogue_there_is_no_answer(answerer: Answerer, lists: Lists) -> None:
    async def get(*_: Any, **__: Any) -> Any:
        raise Unavailable("no answer")

    lists.get = get  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await answerer.answer(json.dumps(review_of(pool())).encode())


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(field=st.sampled_from([*pool()["spec"], "engine", "servedNames", "other"]), value=anything, whole=st.booleans())
async def test_any_spec_has_an_answer(field: str, value: Any, whole: bool) -> None:
    spec = value if whole else {**pool()["spec"], field: value}
    answerer = Answerer(Judge(Lists()), lambda _: None)  # type: ignore[arg-type]
    response = await ask(answerer, review_of({**pool(), "spec": spec}))
    assert response["allowed"] or fields(response)


def pair(method: str = "NGram", **spec: Any) -> dict[str, Any]:
    return pair_manifest(method, namespace="team", **spec)


NAMES_IT = {"speculativePairRef": {"name": "pair"}}


async def test_a_pool_is_judged_with_the_pairs_of_its_namespace(answerer: Answerer, lists: Lists) -> None:
    lists.objects["speculativepairs"] = [stored(pair("Suffix"), namespace="team")]
    response = await ask(answerer, review_of(pool(**NAMES_IT)))
    assert not response["allowed"]
    assert fields(response) == ["spec.speculativePairRef.name"]
    assert "arctic-inference" in response["status"]["message"]


async def test_a_pool_that_names_no_pair_costs_no_look_at_them(answerer: Answerer, lists: Lists) -> None:
    await ask(answerer, review_of(pool()))
    assert lists.read["speculativepairs"] == 0


async def test_a_pool_may_come_before_its_pair(answerer: Answerer) -> None:
    """Tools apply kinds in the order of their names."""
    response = await ask(answerer, review_of(pool(**NAMES_IT)))
    assert response["allowed"]
    [warning] = response["warnings"]
    assert warning == (
        "spec.speculativePairRef.name: there is no SpeculativePair pair in the namespace; apply it: the pool waits for "
        "it"
    )


async def test_what_else_is_wrong_is_wrong_without_the_pair_too(answerer: Answerer) -> None:
    response = await ask(answerer, review_of(pool("chat", variant(quantization="int3"), **NAMES_IT)))
    assert fields(response) == ["spec.variants[0].quantization"]


async def test_a_good_pair_is_let_in(answerer: Answerer, counted: Counter[str]) -> None:
    assert await ask(answerer, review_of(pair())) == {"uid": "question", "allowed": True}
    assert counted == {"allowed": 1}


async def test_a_pair_that_cannot_be_read_is_refused_as_one(answerer: Answerer, lists: Lists) -> None:
    response = await ask(answerer, review_of(pair(fromTheFuture=True)))
    assert fields(response) == ["spec.fromTheFuture"]
    assert response["status"]["details"]["kind"] == "SpeculativePair"
    assert not lists.read


async def test_an_edit_that_pools_cannot_go_with_is_let_in_with_a_warning(answerer: Answerer, lists: Lists) -> None:
    before = pair()
    lists.objects["speculativepairs"] = [stored(before, namespace="team")]
    bad = stored(pool("bad", variant(quantization="int3"), **NAMES_IT), namespace="team")
    others = [stored(pool(name, **spec), namespace="team") for name, spec in (("good", NAMES_IT), ("free", {}))]
    lists.objects["llmservingpools"] = [bad, *others]
    response = await ask(answerer, review_of(pair("Suffix"), before=before))
    assert response["allowed"]
    assert len(response["warnings"]) == 2
    assert response["warnings"][1].startswith(
        "spec: the pool good can't go with it, and would keep the pair as it was: spec.speculativePairRef.name: "
        "spec.method of SpeculativePair pair: vLLM needs the package arctic-inference"
    )


async def test_an_edit_that_pools_can_go_with_is_let_in_silently(answerer: Answerer, lists: Lists) -> None:
    before = pair()
    lists.objects["speculativepairs"] = [stored(before, namespace="team")]
    lists.objects["llmservingpools"] = [stored(pool(**NAMES_IT), namespace="team")]
    assert await ask(answerer, review_of(pair(tokens=5), before=before)) == {"uid": "question", "allowed": True}
