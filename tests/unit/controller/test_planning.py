from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mixserve.api.names import ANNOTATION_LAST_VALID_SPEC, ANNOTATION_MEMORY_PLAN, LABEL_POOL, Reason
from mixserve.api.pool_status import PoolPrices, PriceSource
from mixserve.apply.resources import DEPLOYMENTS, FORMATS, PAIRS, POLICIES, POOLS, SERVICE_ACCOUNTS
from mixserve.catalog.built_in import FORMATS_FOLDER, manifests
from mixserve.controller import planning
from mixserve.controller.object_cache import PoolKey, key_of
from mixserve.plan.absence import Absence, Outlook
from mixserve.plan.model_source import Repository, repository_of
from support.model_configs import LLAMA_3_8B
from support.planners import planner_on, stored, view_of_catalog
from support.policies import stored_policy
from support.pool_manifests import pool as manifest
from support.pool_manifests import variant

if TYPE_CHECKING:
    from pathlib import Path

    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.planning import Planner
    from mixserve.controller.pool_plan import Assessment


@pytest.fixture
def view() -> ClusterView:
    return view_of_catalog()


@pytest.fixture
def planner(view: ClusterView) -> Planner:
    return planner_on(view)


async def assess(planner: Planner, view: ClusterView, raw: dict[str, Any]) -> Assessment:
    view.put(POOLS, raw)
    return await planner.assess(key_of(raw), raw)


async def test_a_valid_pool_has_a_plan(planner: Planner, view: ClusterView) -> None:
    found = await assess(planner, view, stored(manifest("chat", variant("one"), variant("two", accelerator="l4"))))
    assert found.violations == ()
    assert found.plan is not None
    assert found.plan.deployments == {"one": "chat-one", "two": "chat-two"}
    assert set(found.plan.priors) == {"one", "two"}
    assert set(found.plan.prices) == {"h100-80gb", "l4"}
    assert found.plan.endpoint.page.path == "/metrics"
    assert [each.kind for each in found.plan.objects].count("Deployment") == 2


async def test_an_invalid_pool_has_none(planner: Planner, view: ClusterView) -> None:
    found = await assess(planner, view, stored(manifest("chat", variant(quantization="int3"))))
    assert found.plan is None
    assert [each.reason for each in found.violations] == [Reason.UNKNOWN_QUANTIZATION]


async def test_a_pool_gets_the_number_of_gpus_that_auto_stands_for_and_keeps_it(
    planner: Planner, view: ClusterView
) -> None:
    facts = {**manifest()["spec"]["model"]["facts"], "parameters": 16_000_000_000}
    raw = stored(manifest("chat", variant(accelerator="l4", tensorParallel="auto"), model={"facts": facts}))
    found = await assess(planner, view, raw)
    assert found.plan is not None
    assert found.plan.pool.spec.variants[0].tensor_parallel == 2
    account = found.plan.objects[0].body
    view.put(SERVICE_ACCOUNTS, {**account, "metadata": {**account["metadata"], "uid": "x", "resourceVersion": "7"}})
    recovered = await planner.recover(raw)
    assert recovered is not None
    assert recovered.objects == found.plan.objects


async def test_a_spec_that_we_cannot_read_says_where(planner: Planner, view: ClusterView) -> None:
    raw = stored(manifest())
    raw["spec"]["variants"][0]["fromTheFuture"] = True
    found = await assess(planner, view, raw)
    assert found.plan is None
    [violation] = found.violations
    assert violation.message == (
        "spec.variants[0].fromTheFuture: the operator can't read it: there is no such field; correct the field, and "
        "install the CRDs of the operator's own version"
    )


async def test_what_has_not_changed_is_not_planned_again(
    planner: Planner, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await assess(planner, view, stored(manifest()))
    monkeypatch.setattr(planning, "assessment_of", lambda *_: pytest.fail("planned again"))
    again = await assess(planner, view, {**stored(manifest(), version=2), "status": {"ready": 1}})
    assert again is first


async def test_an_edit_is_planned_again(planner: Planner, view: ClusterView) -> None:
    await assess(planner, view, stored(manifest()))
    edited = await assess(planner, view, stored(manifest(engine={"maxModelLen": 4096}), version=2, generation=2))
    assert edited.plan is not None
    assert edited.plan.pool.spec.engine.max_model_len == 4096


async def test_a_change_of_the_catalogue_is_planned_again(planner: Planner, view: ClusterView) -> None:
    raw = stored(manifest("chat", variant(quantization="new")))
    assert (await assess(planner, view, raw)).plan is None
    bf16 = yaml.safe_load(manifests(FORMATS_FOLDER)["bf16.yaml"])
    view.put(FORMATS, stored({**bf16, "metadata": {"name": "new"}}))
    assert (await planner.assess(key_of(raw), raw)).plan is not None


async def test_the_plan_in_force_is_recovered_from_the_objects(planner: Planner, view: ClusterView) -> None:
    good = await assess(planner, view, stored(manifest("chat", variant("one"), variant("two", accelerator="l4"))))
    assert good.plan is not None
    account = good.plan.objects[0].body
    metadata = {**account["metadata"], "uid": "uid-account", "resourceVersion": "7"}
    view.put(SERVICE_ACCOUNTS, {**account, "metadata": metadata})
    bad = stored(manifest("chat", variant(quantization="int3")), version=2, generation=2)
    assert (await assess(planner, view, bad)).plan is None
    recovered = await planner.recover(bad)
    assert recovered is not None
    assert recovered.objects == good.plan.objects


LONG_CONTEXT = {**manifest("chat")["spec"]["model"]["facts"], "maxPositionEmbeddings": 131072}


def account(**changes: Any) -> dict[str, Any]:
    """The ServiceAccount of chat, which carries the spec."""
    spec = json.dumps(manifest("chat", variant())["spec"])
    metadata = {
        "name": "chat",
        "namespace": "ns",
        "uid": "uid-account",
        "resourceVersion": "7",
        "ownerReferences": [{"uid": "uid-chat"}],
        "labels": {LABEL_POOL: "chat"},
        "annotations": {ANNOTATION_LAST_VALID_SPEC: spec},
        **changes,
    }
    return {"metadata": metadata}


@pytest.mark.parametrize(
    "found",
    [
        None,
        account(annotations={}),
        account(annotations={ANNOTATION_LAST_VALID_SPEC: "{"}),
        account(annotations={ANNOTATION_LAST_VALID_SPEC: '{"fromTheFuture": true}'}),
        account(ownerReferences=[{"uid": "an-earlier-chat"}]),
        account(
            annotations={ANNOTATION_LAST_VALID_SPEC: json.dumps(manifest("chat", variant(quantization="x"))["spec"])}
        ),
        # As if the catalogue's GPU had become smaller: an 8B model of 16 bits, on 22 GiB, with its longest context.
        account(
            annotations={
                ANNOTATION_LAST_VALID_SPEC: json.dumps(
                    manifest("chat", variant(accelerator="l4"), model={"facts": LONG_CONTEXT})["spec"]
                )
            }
        ),
    ],
    ids=["no account", "not noted", "no json", "no spec", "of another pool", "gone from the catalogue", "too large"],
)
async def test_what_is_not_noted_is_not_recovered(planner: Planner, view: ClusterView, found: Any) -> None:
    if found is not None:
        view.put(SERVICE_ACCOUNTS, found)
    assert await planner.recover(stored(manifest("chat"))) is None


async def test_a_noted_spec_is_recovered(planner: Planner, view: ClusterView) -> None:
    view.put(SERVICE_ACCOUNTS, account())
    assert await planner.recover(stored(manifest("chat"))) is not None


async def test_a_name_belongs_to_the_older_pool(planner: Planner, view: ClusterView) -> None:
    view.put(POOLS, newer())
    assert (await assess(planner, view, older())).plan is not None
    assert reasons(await planner.assess(PoolKey("ns", "newer"), newer())) == [Reason.SERVED_NAME_TAKEN]
    view.remove(POOLS, older())
    assert (await planner.assess(PoolKey("ns", "newer"), newer())).plan is not None


def apply(view: ClusterView, found: Assessment) -> None:
    """Make the ServiceAccount of a planned pool, which notes what it serves by."""
    assert found.plan is not None
    body = found.plan.objects[0].body
    metadata = {**body["metadata"], "uid": f"uid-account-{body['metadata']['name']}", "resourceVersion": "7"}
    view.put(SERVICE_ACCOUNTS, {**body, "metadata": metadata})


OLDER, NEWER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"


def older(*variants: dict[str, Any], **spec: Any) -> Any:
    return stored(manifest("older", *variants, **{"servedNames": ["m"], **spec}), created=OLDER)


def newer(*variants: dict[str, Any], **spec: Any) -> Any:
    return stored(manifest("newer", *variants, **{"servedNames": ["m"], **spec}), created=NEWER)


def edited(raw: dict[str, Any], **spec: Any) -> Any:
    """Another generation of a pool."""
    metadata = {**raw["metadata"], "generation": 2, "resourceVersion": "2"}
    return {**raw, "metadata": metadata, "spec": {**raw["spec"], **spec}}


def reasons(found: Assessment) -> list[Reason]:
    return [violation.reason for violation in found.violations]


INVALID = {"variants": [variant(quantization="int3")]}


@pytest.mark.parametrize("spec", [INVALID, {"fromTheFuture": True}], ids=["invalid", "unreadable"])
async def test_an_older_pool_that_never_was_valid_has_no_names(
    planner: Planner, view: ClusterView, spec: dict[str, Any]
) -> None:
    view.put(POOLS, older(**spec))
    assert (await assess(planner, view, newer())).plan is not None


async def test_an_older_pool_that_is_refused_its_other_name_does_not_keep_this_one(
    planner: Planner, view: ClusterView
) -> None:
    view.put(POOLS, stored(manifest("oldest", servedNames=["x"]), created="2025-01-01T00:00:00Z"))
    refused = await assess(planner, view, older(servedNames=["m", "x"]))
    assert [each.cause for each in refused.violations] == ["the pool oldest answers for the model name x"]
    assert (await assess(planner, view, newer())).plan is not None


async def test_an_edit_does_not_take_a_name_away_from_a_pool_that_serves(planner: Planner, view: ClusterView) -> None:
    before = older(servedNames=["a"])
    apply(view, await assess(planner, view, before))
    apply(view, await assess(planner, view, newer()))
    after = await assess(planner, view, edited(before, servedNames=["a", "m"]))
    [violation] = after.violations
    assert violation.message == (
        "spec.servedNames[1]: the pool newer answers for the model name m; give this pool another name in "
        "spec.servedNames, or take the name from the pool newer"
    )
    assert (await planner.assess(PoolKey("ns", "newer"), newer())).plan is not None


async def test_who_has_a_name_is_the_same_after_a_restart(planner: Planner, view: ClusterView) -> None:
    apply(view, await assess(planner, view, newer()))
    view.put(POOLS, older())
    for each in (planner, planner_on(view)):
        assert reasons(await each.assess(PoolKey("ns", "older"), older())) == [Reason.SERVED_NAME_TAKEN]
        assert (await each.assess(PoolKey("ns", "newer"), newer())).plan is not None


async def test_a_pool_keeps_its_names_while_it_serves_by_the_last_valid_spec(
    planner: Planner, view: ClusterView
) -> None:
    apply(view, await assess(planner, view, older()))
    view.put(POOLS, edited(older(), **INVALID))
    assert reasons(await assess(planner, view, newer())) == [Reason.SERVED_NAME_TAKEN]


async def test_two_pools_do_not_share_a_deployment(planner: Planner, view: ClusterView) -> None:
    first = stored(manifest("a", variant("b-c")), created=OLDER)
    second = stored(manifest("a-b", variant("c")), created=NEWER)
    view.put(POOLS, second)
    assert (await assess(planner, view, first)).plan is not None
    found = await planner.assess(key_of(second), second)
    assert reasons(found) == [Reason.DEPLOYMENT_NAME_TAKEN]
    assert view.remove(POOLS, first) == {key_of(first), key_of(second)}
    assert (await planner.assess(key_of(second), second)).plan is not None


async def test_a_pool_that_went_a_moment_ago_has_no_names(
    planner: Planner, view: ClusterView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view.names, "sharing", lambda _: {PoolKey("ns", "gone")})
    assert (await assess(planner, view, newer())).plan is not None


@pytest.mark.parametrize("facts", [True, False], ids=["numbers given", "numbers read"])
async def test_a_checkpoint_is_looked_at_wherever_the_numbers_come_from(
    planner: Planner, view: ClusterView, tmp_path: Path, facts: bool
) -> None:
    (tmp_path / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    raw = stored(
        manifest(model={"source": f"host://{tmp_path}", "revision": None, **({} if facts else {"facts": None})})
    )
    found = await assess(planner, view, raw)
    assert reasons(found) == [Reason.CHECKPOINT_MISMATCH]


async def test_an_entry_of_the_catalogue_that_we_cannot_read_is_as_good_as_none(
    planner: Planner, view: ClusterView
) -> None:
    bf16 = yaml.safe_load(manifests(FORMATS_FOLDER)["bf16.yaml"])
    view.put(FORMATS, stored({**bf16, "spec": {"fromTheFuture": True}}, version=2, generation=2))
    found = await assess(planner, view, stored(manifest()))
    assert [each.reason for each in found.violations] == [Reason.UNKNOWN_QUANTIZATION]


async def test_what_is_gone_is_forgotten(planner: Planner, view: ClusterView) -> None:
    raw = stored(manifest())
    await assess(planner, view, raw)
    planner.forget(key_of(raw))
    planner._specs.forget("uid-chat")
    assert (planner._judged, planner._known, "uid-chat" in planner._specs._parsed) == ({}, {}, False)


class Absent:
    """Knows no checkpoint, for one reason."""

    def __init__(self, outlook: Outlook) -> None:
        self.outlook = outlook
        self.config: dict[str, Any] | None = None
        self.kept: Any = None

    async def read(self, _: Repository, __: object) -> dict[str, Any] | None:
        return self.config

    def absences(self, pool: Any) -> dict[Repository, Absence]:
        absence = Absence(outlook=self.outlook, detail="it is not known", remedy="wait")
        return {repository_of(pool, each): absence for each in pool.spec.variants}

    def keep_only(self, repositories: Any, _: object) -> None:
        self.kept = {each.source for each in repositories}


async def test_only_the_checkpoints_of_the_spec_and_of_what_runs_are_kept_in_mind(view: ClusterView) -> None:
    reader = Absent(Outlook.LATER)
    planner = planner_on(view, reader)
    raw = stored(manifest(model={"source": "pvc://models/first", "revision": None, "facts": None}))
    found = await assess(planner, view, raw)
    assert reader.kept == {"pvc://models/first"}
    apply(view, found)
    await assess(planner, view, edited(raw, model={"source": "pvc://models/second", "revision": None, "facts": None}))
    assert reader.kept == {"pvc://models/first", "pvc://models/second"}


async def test_a_pool_whose_files_are_being_read_waits_and_what_runs_is_left_alone(view: ClusterView) -> None:
    planner = planner_on(view, Absent(Outlook.SOON))
    raw = stored(manifest(model={"facts": None}))
    found = await assess(planner, view, raw)
    assert (found.plan, found.waits, found.violations) == (None, True, ())
    spec = json.dumps({**raw["spec"], "model": {**raw["spec"]["model"], "facts": None}})
    view.put(SERVICE_ACCOUNTS, account(annotations={ANNOTATION_LAST_VALID_SPEC: spec}))
    assert await planner.recover(raw) is None


async def test_it_goes_on_when_they_are_read_and_without_them_when_they_cannot_be(view: ClusterView) -> None:
    absent = Absent(Outlook.SOON)
    planner = planner_on(view, absent)
    raw = stored(manifest(model={"facts": None}))
    assert (await assess(planner, view, raw)).plan is None
    absent.outlook = Outlook.LATER
    without = await planner.assess(key_of(raw), raw)
    assert without.plan is not None
    assert not without.waits
    assert memory_plans(without) == [None]
    absent.config = dict(LLAMA_3_8B)
    assert memory_plans(await planner.assess(key_of(raw), raw)) != [None]


async def test_numbers_that_come_late_leave_the_pods_as_they_are(view: ClusterView) -> None:
    absent = Absent(Outlook.LATER)
    planner = planner_on(view, absent)
    raw = stored(manifest(model={"facts": None}))
    found = await assess(planner, view, raw)
    assert found.plan is not None
    apply(view, found)
    for each in found.plan.objects:
        if each.kind == "Deployment":
            metadata = {**each.body["metadata"], "uid": "uid-deployment", "resourceVersion": "8"}
            view.put(DEPLOYMENTS, {**each.body, "metadata": metadata})
    absent.config = dict(LLAMA_3_8B)
    later = await planner.assess(key_of(raw), raw)
    assert later.plan is not None
    assert later.plan.objects == found.plan.objects
    assert later.plan.priors != found.plan.priors
    edit = edited(raw, engine={"maxModelLen": 4096})
    assert memory_plans(await assess(planner, view, edit)) != [None]


def memory_plans(found: Assessment) -> list[str | None]:
    """The memory plan of each variant's pods."""
    assert found.plan is not None
    templates = [each.body["spec"]["template"] for each in found.plan.objects if each.kind == "Deployment"]
    return [each["metadata"].get("annotations", {}).get(ANNOTATION_MEMORY_PLAN) for each in templates]


LOOKUP = {
    "apiVersion": "mixserve.dev/v1alpha1",
    "kind": "SpeculativePair",
    "metadata": {"name": "lookup"},
    "spec": {"method": "NGram"},
}


def with_pair(**spec: Any) -> dict[str, Any]:
    return manifest("chat", variant("main"), speculativePairRef={"name": "lookup"}, **spec)


async def test_what_is_known_of_a_pools_pair_is_that_of_the_last_assessment(
    planner: Planner, view: ClusterView
) -> None:
    raw = stored(LOOKUP)
    view.put(PAIRS, {**raw, "metadata": {**raw["metadata"], "namespace": "ns"}})
    assert planner.pair_assessment(PoolKey("ns", "chat")) is None
    await assess(planner, view, stored(with_pair()))
    found = planner.pair_assessment(PoolKey("ns", "chat"))
    assert found is not None
    assert (found.tokenizers_match, found.violations, found.generations) == ("True", (), (1, 1))
    assert found.speeds["main"] is not None


async def test_only_what_is_wrong_with_the_pair_is_told_of_it(planner: Planner, view: ClusterView) -> None:
    await assess(planner, view, stored(with_pair(engine={"args": ["--port=1"]})))
    found = planner.pair_assessment(PoolKey("ns", "chat"))
    assert found is not None
    assert [violation.reason for violation in found.violations] == [Reason.UNKNOWN_SPECULATIVE_PAIR]
    assert (found.tokenizers_match, found.speeds, found.generations) == ("Unknown", {}, (1, None))


async def test_a_name_that_an_older_policy_has_is_not_the_pools_until_it_goes(
    planner: Planner, view: ClusterView
) -> None:
    raw = stored(manifest("chat"))
    raw["metadata"]["creationTimestamp"] = "2026-06-01T00:00:00Z"
    assert (await assess(planner, view, raw)).plan is not None
    policy = stored_policy(servedNames=["chat"])
    policy["metadata"]["namespace"] = key_of(raw).namespace
    view.put(POLICIES, policy)
    found = await planner.assess(key_of(raw), raw)
    assert [(each.reason, each.field_path) for each in found.violations] == [
        (Reason.SERVED_NAME_TAKEN, "metadata.name")
    ]
    assert await planner.assess(key_of(raw), raw) is found
    view.remove(POLICIES, policy)
    assert (await planner.assess(key_of(raw), raw)).plan is not None


async def prices(planner: Planner, view: ClusterView, **fields: Any) -> PoolPrices | None:
    found = await assess(planner, view, stored(manifest("chat", **fields)))
    assert found.plan is not None
    return found.plan.token_prices


async def test_prices_are_predicted(planner: Planner, view: ClusterView) -> None:
    found = await prices(planner, view)
    assert found is not None
    assert found.source == "Predicted"
    assert 0 < float(found.cached_prompt_per_million) < float(found.prompt_per_million)
    assert float(found.prompt_per_million) < float(found.completion_per_million)


async def test_given_prices_are_taken(planner: Planner, view: ClusterView) -> None:
    given = {"prompt": "0.10", "completion": "0.40"}
    assert await prices(planner, view, prices=given) == PoolPrices(
        prompt_per_million="0.10",
        cached_prompt_per_million="0",
        completion_per_million="0.40",
        source=PriceSource.GIVEN,
    )


async def test_what_nobody_knows_has_no_price(planner: Planner, view: ClusterView) -> None:
    unknown = manifest("chat")
    unknown["spec"]["model"] = {"source": "pvc://models/llama"}
    found = await assess(planner, view, stored(unknown))
    assert found.plan is not None
    assert found.plan.token_prices is None
