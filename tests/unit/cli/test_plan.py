"""The command as a whole, in this process. Its forms for examples/ are golden files, see tests/golden/README.md."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from mixserve.cli import app
from mixserve.cli.plan import _is_colourful, _painted
from support import pool_manifests
from support.hub_server import REVISION, HubServer, hub_server
from support.model_configs import LLAMA_3_1_8B, LLAMA_3_8B
from support.pairs import pair_manifest
from support.policies import policy_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "plan"
UPDATE = os.environ.get("MIXSERVE_UPDATE_GOLDEN") == "1"
OPTIONS = ("--rate", "5", "--api-price", "0.15,0.60")


def plan(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["plan", *arguments], input=stdin)


def planned(*manifests: dict[str, Any], options: tuple[str, ...] = (), output: str = "json") -> Any:
    result = plan("-f", "-", "-o", output, *options, stdin=yaml.safe_dump_all(manifests))
    assert result.exit_code in {0, 1}, result.output
    return json.loads(result.stdout) if output == "json" else result.stdout


WRONG = pool_manifests.pool("wrong", pool_manifests.variant(quantization="fp9"), pool_manifests.variant("fits"))
BROKEN = pool_manifests.pool("broken", replicas=3)
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
FORMS = (("table", "examples.txt"), ("markdown", "examples.md"), ("json", "examples.json"), ("yaml", "examples.yaml"))


@pytest.mark.parametrize(("output", "file"), FORMS)
def test_the_examples_are_planned_as_written(output: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = plan("-f", "examples", "-o", output, *OPTIONS)
    if UPDATE:
        (GOLDEN / file).write_text(result.stdout)

    assert result.exit_code == 0
    assert result.stdout == (GOLDEN / file).read_text()


def test_the_documentation_shows_what_the_command_says() -> None:
    shown = textwrap.indent((GOLDEN / "examples.txt").read_text(), "    ")
    assert shown in (ROOT / "docs" / "plan.md").read_text(), "paste tests/golden/plan/examples.txt into docs/plan.md"


@pytest.mark.parametrize("output", ["table", "markdown"])
def test_nothing_of_a_manifest_moves_the_cursor(output: str, tmp_path: Path) -> None:
    hostile = pool_manifests.pool("ok", **{"fie\ald": 1})
    (tmp_path / "po\rol.yaml").write_text(yaml.safe_dump_all([hostile, SERVICE, pool_manifests.pool("a")]))
    printed = plan("-f", str(tmp_path), "-o", output).output
    assert [line for line in printed.split("\n") if not line.isprintable()] == []
    assert "x07ld" in printed
    assert "ol.yaml" in printed


def test_json_and_yaml_say_the_same() -> None:
    manifests = (pool_manifests.pool(), WRONG, BROKEN, SERVICE)
    assert yaml.safe_load(planned(*manifests, output="yaml")) == planned(*manifests)


def test_the_numbers_of_a_variant() -> None:
    (pool,) = planned(pool_manifests.pool(engine={"maxModelLen": 4096}))["pools"]
    (variant,) = pool["variants"]

    assert pool["parameters"] == 8_030_261_248
    assert (variant["fits"], variant["tensor_parallel"], variant["violations"]) == (True, 1, [])
    assert variant["weights_bytes"] == 2 * 8_030_261_248
    assert variant["kv_bytes_per_token"] == 2 * 32 * 8 * 128 * 2
    assert variant["max_concurrency"] == round(variant["kv_capacity_tokens"] / 4096, 2)
    assert variant["predicted"]["concurrency"] == variant["kv_capacity_tokens"] // (1155 + 211)
    assert (variant["gpus"], variant["usd_per_hour"]) == ({"min": 1, "max": 4}, 6.88)
    assert variant["predicted"]["month"] is None


def test_lengths_decide_speed_and_concurrency() -> None:
    short, long = (
        planned(pool_manifests.pool(), options=("--prompt-tokens", prompt, "--answer-tokens", "100"))["pools"][0]
        for prompt in ("100", "4000")
    )
    quick, slow = (pool["variants"][0]["predicted"] for pool in (short, long))
    assert quick["concurrency"] > slow["concurrency"]
    assert quick["ttft_s"] < slow["ttft_s"]


def test_violations_are_in_the_pool_and_in_their_variant() -> None:
    report = planned(WRONG)

    (pool,) = report["pools"]
    assert report["valid"] is False
    assert [one["field_path"] for one in pool["violations"]] == ["spec.variants[0].quantization"]
    assert [one["violations"] for one in pool["variants"]] == [pool["violations"], []]
    assert [one["fits"] for one in pool["variants"]] == [False, True]
    assert (pool["best_variant"], pool["usd_per_hour"]) == ("fits", None)


def test_pools_of_one_namespace_share_no_name() -> None:
    report = planned(*(pool_manifests.pool(name, servedNames=["chat"]) for name in ("a", "b")))

    assert [[one["reason"] for one in pool["violations"]] for pool in report["pools"]] == [[], ["ServedNameTaken"]]


def test_a_pool_that_can_not_be_read_is_a_pool_all_the_same() -> None:
    (pool,) = planned(BROKEN)["pools"]

    assert (pool["name"], pool["variants"], pool["parameters"]) == ("broken", [], None)
    assert [one["field_path"] for one in pool["violations"]] == ["spec.replicas"]


def test_what_is_no_pool_is_refused_apart() -> None:
    report = planned({"apiVersion": "mixserve.dev/v1alpha1", "kind": "Pool"}, SERVICE)

    assert report["pools"] == []
    assert [one["kind"] for one in report["refused"]] == ["Pool"]
    assert report["ignored"] == [{"file": "-", "kinds": {"Service": 1}}]


def test_numbers_of_a_model_come_from_a_directory_as_well(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA_3_1_8B))
    manifest = pool_manifests.pool(engine={"maxModelLen": 8192})
    manifest["spec"]["model"] = {"source": f"host://{tmp_path}"}

    (pool,) = planned(manifest)["pools"]

    assert (pool["parameters"], pool["variants"][0]["fits"]) == (8_030_261_248, True)


def without_facts() -> dict[str, Any]:
    manifest = pool_manifests.pool()
    del manifest["spec"]["model"]["facts"]
    return manifest


def test_without_numbers_the_row_says_unknown_and_a_note_says_why() -> None:
    text = planned(without_facts(), output="table")

    assert "unknown" in text.splitlines()[1]
    assert "FITS unknown: the model's numbers are not known" in text
    assert "spec.model.source: config.json of hf://example/model can't be read" in text
    assert "no variant can be chosen (main: the model's numbers are unknown)" in text
    (pool,) = planned(without_facts())["pools"]
    assert (pool["variants"][0]["fits"], pool["variants"][0]["max_concurrency"]) == (None, None)


@pytest.mark.parametrize("output", ["table", "markdown"])
def test_people_read_violations_notes_and_costs(output: str) -> None:
    text = planned(WRONG, BROKEN, SERVICE, without_facts(), output=output)

    for words in (
        "default/broken",
        "there is no QuantizationFormat fp9",
        "there is no such field",
        "1 Service",
        "best by cost: fits",
        "not chosen: main: it has violations",
    ):
        assert words in text.replace("\\", "")


@pytest.mark.parametrize("output", ["table", "markdown"])
def test_where_nothing_is_predicted_no_numbers_are_explained(output: str) -> None:
    nowhere = pool_manifests.pool("nowhere", pool_manifests.variant(accelerator="h900"))
    told = planned(BROKEN, nowhere, output=output)

    assert "default/broken" in told
    assert "default/nowhere" in told
    assert "Predicted by" not in told
    assert "\n\n\n" not in told


@pytest.mark.parametrize("output", ["table", "markdown"])
def test_without_pools_there_is_no_table(output: str) -> None:
    text = planned({"apiVersion": "mixserve.dev/v1alpha1", "kind": "Pool"}, output=output)

    assert "CONCURRENCY" not in text
    assert "there is no such kind" in text


def test_a_policy_is_held_against_the_pools_and_policies_of_its_namespace() -> None:
    shadow = policy_manifest("first", shadow={"poolRef": {"name": "small"}})
    taken = policy_manifest("chat", servedNames=["other", "chat"])
    elsewhere = policy_manifest("chat", namespace="elsewhere")
    report = planned(pool_manifests.pool("chat"), shadow, taken, elsewhere)

    wrong = {(one["name"], one["violations"][0]["field_path"]) for one in report["refused"]}
    assert wrong == {("first", "spec.shadow.poolRef.name"), ("chat", "spec.servedNames[1]")}
    assert {one["namespace"] for one in report["refused"]} == {"default"}


def test_a_policy_alone_may_name_pools_of_the_cluster() -> None:
    assert planned(policy_manifest())["refused"] == []


def test_markdown_takes_nothing_of_a_manifest_for_markup() -> None:
    text = planned({"apiVersion": "mixserve.dev/v1alpha1", "kind": "<img src=x>|`a`\n# b"}, output="markdown")

    assert "\\<img src=x\\>\\|\\`a\\`\\\\n\\# b" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", "0.5"), "best by cost at 0.5 requests/s: main, 1 replica, 5022.40 USD a month of 730 h"),
        (("--rate", "1", "--api-price", "1,2"), "730 h; the API: 4144.36 USD"),
        (
            ("--api-price", "1,2"),
            "a replica is cheaper than the API from 3.2 million requests (4.4 billion tokens) a month",
        ),
        (("--api-price", "0.001,0.002"), "the API is always cheaper: a replica would have to serve"),
        (("--api-price", "0,0"), "the API is free, and so always cheaper"),
        (("--tpot", "1ms"), "no variant can be chosen (main: its TPOT is longer than 1 ms)"),
        (("--ttft", "0.5s"), "best by cost: main"),
    ],
)
def test_options_ask_for_more(options: tuple[str, ...], words: str) -> None:
    assert words in planned(pool_manifests.pool(), options=options, output="table")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing option"),
        (("-f", "none.yaml"), "none.yaml: No such file"),
        (("-f", "."), "there is nothing of Mixserve in ."),
        (("-f", "-", "--rate", "nan"), "'nan' is not a number above 0"),
        (("-f", "-", "--rate", "0"), "'0' is not a number above 0"),
        (("-f", "-", "--api-price", "1"), "'1' is not INPUT,OUTPUT"),
        (("-f", "-", "--ttft", "5"), "'5' is not a time"),
        (("-f", "-", "--prompt-tokens", "0"), "--prompt-tokens"),
        (("-f", "-", "-o", "xml"), "xml"),
    ],
)
def test_what_the_command_can_not_do_is_a_usage_error(
    arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = plan(*arguments, stdin="")

    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.replace("│", " ").split())


def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _painted("yes  ") == "\x1b[32myes  \x1b[0m"
    assert _painted("FITS ") == "FITS "
    assert not _is_colourful()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert _is_colourful()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not _is_colourful()


class TestHub:
    @pytest.fixture
    def hub(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
        with hub_server() as hub:
            monkeypatch.setenv("HF_HUB_OFFLINE", "0")
            monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
            yield hub

    @pytest.fixture
    def pools(self) -> list[dict[str, Any]]:
        """A hundred pools, each with a model of its own."""
        made = [pool_manifests.pool(f"p{number}") for number in range(100)]
        for number, one in enumerate(made):
            one["spec"]["model"] = {"source": f"hf://org/M{number}", "revision": REVISION}
        return made

    def test_the_numbers_of_models_are_read_there_all_at_once(self, hub: HubServer, pools: list[Any]) -> None:
        for number in range(100):
            hub.put(f"org/M{number}", config=LLAMA_3_8B)
        found = planned(*pools)["pools"]
        assert {one["parameters"] for one in found} == {8_030_261_248}
        assert not any("tokenizer" in path for path, _ in hub.asked)
        # And kept: the second time without a hub.
        hub.failing = 503
        assert planned(*pools)["pools"] == found

    def test_a_refusal_is_a_note_and_a_model_that_is_not_there_a_violation(
        self, hub: HubServer, pools: list[Any]
    ) -> None:
        hub.put("org/M0", config=LLAMA_3_8B, gated=True)
        hub.put("org/M1", config=LLAMA_3_8B, revision="f" * 40)
        gated, absent = planned(*pools[:2])["pools"]
        assert "accept its licence" in gated["notes"][0]["remedy"]
        assert [one["reason"] for one in absent["violations"]] == ["CheckpointNotFound"]

    @pytest.mark.parametrize("options", [("--offline",), ()])
    def test_it_can_be_left_alone(
        self, hub: HubServer, pools: list[Any], options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not options:
            monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        [found] = planned(pools[0], options=options)["pools"]
        assert "can't be read here: --offline" in found["notes"][0]["cause"]
        assert hub.asked == []

    def test_tokenizers_are_read_and_compared_where_there_is_a_draft(self, hub: HubServer, pools: list[Any]) -> None:
        def tokenizer(*texts: str) -> dict[str, bytes]:
            vocabulary = {text: number for number, text in enumerate(texts)}
            model = {"type": "BPE", "vocab": vocabulary, "merges": []}
            return {"tokenizer.json": json.dumps({"model": model, "added_tokens": []}).encode()}

        hub.put("org/M0", config=LLAMA_3_8B, files=tokenizer("a", "b"))
        hub.put("org/Draft", config={**LLAMA_3_8B, "num_hidden_layers": 4}, files=tokenizer("a", "c"))
        draft = {"source": "hf://org/Draft", "revision": REVISION}
        pools[0]["spec"]["speculativePairRef"] = {"name": "pair"}

        [found] = planned(pair_of_files("DraftModel", draft=draft), pools[0])["pools"]

        assert [one["reason"] for one in found["violations"]] == ["DraftMismatch"]
        assert any("Draft" in path and "tokenizer.json" in path for path, _ in hub.asked)

    def test_nobody_asks_for_what_is_given(self, hub: HubServer) -> None:
        assert planned(pool_manifests.pool())["pools"][0]["parameters"] == 8_030_261_248
        assert hub.asked == []


NAMES_IT = {"speculativePairRef": {"name": "pair"}, "engine": {"maxModelLen": 4096}}


def pair_of_files(method: str = "NGram", **spec: Any) -> dict[str, Any]:
    return pair_manifest(method, namespace="default", **spec)


def test_a_pool_with_a_pair_says_what_is_predicted_of_it() -> None:
    (pool,) = planned(pair_of_files(), pool_manifests.pool(**NAMES_IT))["pools"]
    (variant,) = pool["variants"]
    found = variant["speculation"]

    assert (found["pair"], found["method"], found["tokens"]) == ("pair", "NGram", 3)
    assert (found["tokenizers_match"], found["draft_bytes"]) == ("True", 0)
    assert found["predicted_speed_up"] > 1
    assert found["predicted_speed_up_alone"] > 1
    assert found["predicted_accepted_length"] == pytest.approx(1.328)


def test_a_pool_without_one_has_none() -> None:
    (pool,) = planned(pool_manifests.pool())["pools"]
    assert pool["variants"][0]["speculation"] is None


def test_what_nobody_knows_is_null() -> None:
    of = pair_of_files("DraftModel")
    (known,), (unknown,) = (
        planned(of, pool_manifests.pool(model=model, **NAMES_IT))["pools"] for model in ({}, {"facts": None})
    )
    for one in (known, unknown):
        found = one["variants"][0]["speculation"]
        assert (found["draft_bytes"], found["predicted_speed_up"], found["tokenizers_match"]) == (None, None, "Unknown")


def test_a_pair_that_is_not_among_the_manifests_is_a_violation() -> None:
    report = planned(pool_manifests.pool(**NAMES_IT))
    (pool,) = report["pools"]

    assert [one["reason"] for one in pool["violations"]] == ["UnknownSpeculativePair"]
    assert not report["valid"]


def test_the_table_has_columns_for_pairs_only_where_there_are_some() -> None:
    without = planned(pool_manifests.pool("free"), BROKEN, output="table")
    beside = planned(
        pair_of_files(), pool_manifests.pool(**NAMES_IT), pool_manifests.pool("free"), BROKEN, output="table"
    )
    unknown = planned(pair_of_files("DraftModel"), pool_manifests.pool(**NAMES_IT), output="table")

    assert "PROPOSED" not in without
    assert "SPEED-UP: of tokens" not in without
    head, *rows = beside.splitlines()[:4]
    assert head.split()[-2:] == ["PROPOSED", "SPEED-UP"]
    assert "NGram x3" in rows[0]
    assert rows[0].endswith("alone)")
    assert [row.split()[-2:] for row in rows[1:3]] == [["-", "-"], ["-", "-"]]
    assert unknown.splitlines()[1].rstrip().endswith("DraftModel x3  -")
    assert "| PROPOSED | SPEED-UP |" in planned(pair_of_files(), pool_manifests.pool(**NAMES_IT), output="markdown")
