"""Pydantic and the API server say the same of every manifest, and say it readably."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import yaml
from pydantic import Field, ValidationError

import mixserve.catalog.built_in
from mixserve.api.base import CelRule, ObjectMeta, StrictModel
from mixserve.api.crd import custom_resource_definition
from mixserve.api.kinds import KINDS, Kind
from mixserve.api.names import API_VERSION
from mixserve.api.pool import LLMServingPool, ReplicaRange
from mixserve.api.problems import problems
from mixserve.api.scalars import LABEL_PATTERN
from mixserve.catalog.built_in import FOLDERS, manifests
from mixserve_devcluster import kubectl
from mixserve_devcluster.errors import ApiError
from support.crd_corpus import Case, corpus
from support.crd_examples import PATTERNS, RULES
from support.crd_manifests import MANIFESTS
from support.custom_resources import conditions, install_crds
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixserve_devcluster.control_plane import ControlPlane

pytestmark = pytest.mark.integration

STRICT = "dryRun=All&fieldValidation=Strict"
KIND_BY_NAME = {kind.name: kind for kind in KINDS}
CASES = [case for kind in KINDS for case in corpus(kind)]

EXAMPLES = Path(__file__).parents[2] / "examples"
CATALOG = Path(mixserve.catalog.built_in.__file__).parent
APPLIED = [*sorted(path.parent for path in EXAMPLES.glob("*/README.md")), *(CATALOG / folder for folder in FOLDERS)]

SMALLEST_POOL = """
apiVersion: mixserve.dev/v1alpha1
kind: LLMServingPool
metadata: {name: smallest, namespace: default}
spec:
  model: {source: "pvc://models/llama-8b"}
  variants: [{name: main, quantization: bf16, accelerator: l4}]
"""


@pytest.fixture(scope="module")
def served(control_plane: ControlPlane) -> ControlPlane:
    install_crds(control_plane)
    return control_plane


@pytest.fixture(scope="module")
def stored(served: ControlPlane) -> Iterator[dict[str, dict[str, Any]]]:
    """An object of each kind that has a status: one is only checked when it is written to an object that exists."""
    found = {kind.name: create_with_status(served, kind) for kind in KINDS if kind.has_status}
    yield found
    for name in found:
        served.api.delete(f"{collection(KIND_BY_NAME[name])}/stored")


def create_with_status(plane: ControlPlane, kind: Kind) -> dict[str, Any]:
    metadata = {"name": "stored", **({"namespace": "default"} if kind.namespaced else {})}
    manifest = {**MANIFESTS[kind.name], "metadata": metadata}
    created = plane.api.create(collection(kind), manifest)
    return plane.api.replace(f"{collection(kind)}/stored/status", {**created, "status": manifest["status"]})


def kubectl_says(plane: ControlPlane, *arguments: str) -> str:
    return kubectl.run(plane.kubeconfig, *arguments)


def collection(kind: Kind) -> str:
    return f"/apis/{API_VERSION}/{'namespaces/default/' if kind.namespaced else ''}{kind.plural}"


def refusal_by_api_server(plane: ControlPlane, case: Case, stored: dict[str, dict[str, Any]]) -> str:
    """What the API server has against a manifest; nothing if it takes it."""
    refusal = None
    try:
        if case.part == "status":
            value = {**stored[case.kind.name], "status": case.manifest.get("status")}
            plane.api.replace(f"{collection(case.kind)}/stored/status?{STRICT}", value)
        else:
            plane.api.create(f"{collection(case.kind)}?{STRICT}", without_status(case.manifest))
    except ApiError as error:
        refusal = error
    assert refusal is None or refusal.status in {400, 422}, refusal
    return str(refusal or "")


def without_status(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in manifest.items() if key != "status"}


def refusal_by_pydantic(case: Case) -> str:
    try:
        case.kind.model.parse(case.manifest)
    except ValidationError as error:
        return "\n".join(str(problem) for problem in problems(error))
    return ""


@pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])
def test_both_say_the_same(case: Case, served: ControlPlane, stored: dict[str, dict[str, Any]]) -> None:
    for refusal in (refusal_by_pydantic(case), refusal_by_api_server(served, case, stored)):
        assert bool(refusal) != case.good, refusal
        assert case.says in refusal
        # A rule that stumbles over what the schema refuses anyway only makes noise.
        assert " evaluating rule: " not in refusal


class Spec(StrictModel):
    number: int = 1
    text: str = Field("a", pattern="^a$")
    cel_rules: ClassVar[tuple[CelRule, ...]] = (CelRule("self.number != 7", "number must not be 7", lambda _: True),)


class Novelty(StrictModel):
    """A kind that has no examples yet."""

    metadata: ObjectMeta
    spec: Spec


@pytest.mark.parametrize(
    ("spec", "known_patterns", "missing"),
    [
        ({"text": "a"}, [], "no example manifest sets spec.number"),
        ({"number": 1, "text": "a"}, [], "no examples for the pattern '^a$' of spec.text"),
        ({"number": 1, "text": "a"}, ["^a$"], "no examples for the rule 'number must not be 7' of spec"),
    ],
)
def test_the_corpus_asks_for_the_examples_that_it_lacks(
    spec: dict[str, Any], known_patterns: list[str], missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Kind(Novelty, "novelties", "n", namespaced=False, has_status=False, columns=())
    monkeypatch.setitem(MANIFESTS, "Novelty", {"metadata": {"name": "a"}, "spec": spec})
    for pattern in known_patterns:
        monkeypatch.setitem(PATTERNS, pattern, PATTERNS[LABEL_PATTERN])
    with pytest.raises(LookupError, match=re.escape(missing)):
        list(corpus(kind))


def test_no_example_is_left_over() -> None:
    schemas = json.dumps([custom_resource_definition(kind) for kind in KINDS])
    assert [text for text in (*PATTERNS, *RULES) if json.dumps(text) not in schemas] == []


def test_the_api_server_takes_the_definitions_without_a_warning(control_plane: ControlPlane) -> None:
    assert "Warning" not in install_crds(control_plane)
    for kind in KINDS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.mixserve.dev"
        definition = control_plane.api.get(path)
        assert conditions(definition) == {"NamesAccepted": "True", "Established": "True"}


def test_a_pool_of_six_lines_gets_every_default(served: ControlPlane) -> None:
    manifest = yaml.safe_load(SMALLEST_POOL)
    stored = served.api.create(f"{collection(KIND_BY_NAME['LLMServingPool'])}?{STRICT}", manifest)
    read = LLMServingPool.parse(stored)
    # Entries of lists are stored as they are written; the model has their defaults.
    assert stored["spec"].pop("variants") == manifest["spec"]["variants"]
    assert [variant.replicas for variant in read.spec.variants] == [ReplicaRange(min=1, max=1)]
    wire = LLMServingPool.parse(manifest).to_wire()["spec"]
    assert wire == read.to_wire()["spec"]
    del wire["variants"]
    assert stored["spec"] == without_empty(wire)
    assert stored["spec"]["engine"]["startupTimeout"] == "30m"


def without_empty(value: Any) -> Any:
    """Without lists and objects that have nothing in them: these are no defaults of the API server."""
    if isinstance(value, dict):
        return {key: without_empty(part) for key, part in value.items() if part not in ({}, [])}
    return [without_empty(entry) for entry in value] if isinstance(value, list) else value


def test_the_catalogue_is_taken_as_it_is(served: ControlPlane) -> None:
    for text in (text for folder in FOLDERS for text in manifests(folder).values()):
        manifest = yaml.safe_load(text)
        # Under a name of its own: other tests of the same cluster may have installed the catalogue.
        manifest["metadata"]["name"] += "-taken"
        served.api.create(f"{collection(KIND_BY_NAME[manifest['kind']])}?{STRICT}", manifest)


@pytest.mark.parametrize("folder", APPLIED, ids=[folder.name for folder in APPLIED])
def test_what_was_applied_already_is_unchanged(folder: Path, served: ControlPlane) -> None:
    apply = ("apply", "--filename", str(folder))
    applied = kubectl_says(served, *apply).splitlines()
    try:
        told = {line.rpartition(" ")[0] for line in applied}
        assert set(kubectl_says(served, *apply).splitlines()) == {f"{name} unchanged" for name in told}
    finally:
        kubectl_says(served, "delete", "--filename", str(folder))


@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_what_a_person_looks_for(served: ControlPlane) -> None:
    header, row = kubectl_says(served, "get", "lsp", "stored", "-o", "wide").splitlines()
    names = "NAME DESIRED READY STARTING LIMITED-BY LAST-SCALE HEALTHY REASON MODEL ENGINE USD/H AGE"
    assert " ".join(header.split()) == names
    cells = row.split()
    assert cells[:5] == ["stored", "2", "1", "1", "running"]
    assert cells[5].endswith("d")
    assert cells[6:11] == ["True", "Ready", "hf://example/Llama-3.3-70B", "vllm", "13.76"]
    assert {
        "acceleratorclass.mixserve.dev/stored",
        "llmservingpool.mixserve.dev/stored",
        "quantizationformat.mixserve.dev/stored",
        "speculativepair.mixserve.dev/stored",
    } <= set(kubectl_says(served, "get", "mixserve", "-o", "name").split())


@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_what_is_free(served: ControlPlane) -> None:
    header, row = kubectl_says(served, "get", "ac", "stored").splitlines()
    assert " ".join(header.split()) == "NAME MEMORY CAPABILITY USD/H NODES GPUS FREE POOLS AGE"
    assert row.split()[4:8] == ["3", "24", "7", "2"]
    header, row = kubectl_says(served, "get", "qf", "stored").splitlines()
    assert " ".join(header.split()) == "NAME TARGET BITS COMPUTE-BITS VLLM TENSORRT-LLM POOLS AGE"
    assert row.split()[-2] == "2"


@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_how_a_pair_does(served: ControlPlane) -> None:
    header, row = kubectl_says(served, "get", "spair", "stored").splitlines()
    names = "NAME METHOD TOKENS POOLS TOKENIZERS-MATCH ACCEPTED-LENGTH SPEED-UP AGE"
    assert " ".join(header.split()) == names
    assert row.split()[:7] == ["stored", "EAGLE3", "32", "llama", "True", "3.13", "1.9"]


@pytest.mark.usefixtures("stored")
def test_kubectl_get_shows_how_many_targets_answer(served: ControlPlane) -> None:
    header, row = kubectl_says(served, "get", "rp", "stored").splitlines()
    assert " ".join(header.split()) == "NAME CLASSIFIER TARGETS HEALTHY REASON ADDRESS AGE"
    assert row.split()[:5] == ["stored", "LLM", "2/3", "True", "Ready"]


def test_kubectl_explain_says_default_bounds_and_what_is_needed(served: ControlPlane) -> None:
    # Schemas are published a while after the definitions are established.
    eventually(lambda: f"apis/{API_VERSION}" in served.api.get("/openapi/v3")["paths"], "published schemas")
    engine = " ".join(kubectl_says(served, "explain", "lsp.spec.engine").split())
    assert "restarted, from 1s to 24h. Default: 30m." in engine
    assert "From 128 to 16777216." in engine
    every_field = kubectl_says(served, "explain", "llmservingpool.spec", "--recursive")
    assert "variants\t<[]Object> -required-" in every_field
    assert "enum: Native, External, Advisory" in every_field
