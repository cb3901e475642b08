from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.api.names import Reason
from mixserve.controller.webhook.errors import BadReviewError
from mixserve.controller.webhook.review import Review, allowed, denied, read_review
from mixserve.validate.violation import Note, Violation
from support.admission import review_of
from support.pool_manifests import pool, variant


def read(review: dict[str, Any]) -> Review:
    return read_review(json.dumps(review).encode())


def test_a_new_pool_is_judged_as_the_youngest() -> None:
    found = read(review_of(pool(), creationTimestamp="2026-01-01T00:00:00Z", uid="u1"))
    assert found.uid == "question"
    assert found.subject is not None
    assert found.subject["spec"] == pool()["spec"]
    assert found.subject["metadata"] == {
        "name": "chat",
        "namespace": "team",
        "uid": "u1",
        "resourceVersion": "0",
        "generation": 0,
        "creationTimestamp": "9999-12-31T23:59:59Z",
    }


def test_a_changed_spec_is_judged_at_its_age() -> None:
    changed = pool("chat", variant(least=2))
    found = read(review_of(changed, before=pool(), creationTimestamp="2026-01-01T00:00:00Z"))
    assert found.subject is not None
    assert found.subject["spec"] == changed["spec"]
    assert found.subject["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "review",
    [
        pytest.param(review_of(pool(), before=pool(), labels={"a": "b"}), id="labels only"),
        pytest.param(
            review_of(pool("chat", variant(least=2)), before=pool(), deletionTimestamp="2026-01-01T00:00:00Z"),
            id="being deleted",
        ),
        pytest.param(review_of(None, before=pool(), operation="DELETE"), id="a deletion"),
        pytest.param(review_of(pool(), operation="CONNECT"), id="another operation"),
        pytest.param(review_of(pool(), before=None, operation="UPDATE", subResource="status"), id="the status"),
    ],
)
def test_there_is_nothing_to_judge(review: dict[str, Any]) -> None:
    assert read(review) == Review("question", None)


def test_the_answer_names_the_question_and_has_the_notes_as_warnings() -> None:
    review = Review("question", None)
    note = Note(Reason.VALID, "spec.engine.version", "it is not known", "watch it")
    assert allowed(review)["response"] == {"uid": "question", "allowed": True}
    assert allowed(review, [note])["response"]["warnings"] == ["spec.engine.version: it is not known; watch it"]


def test_a_refusal_has_one_line_and_one_cause_for_each_violation() -> None:
    wrong = [
        Violation(Reason.OWNED_FLAG, "spec.engine.args[0]", "--port is set by the operator", "leave it out"),
        Violation(Reason.DOES_NOT_FIT, "spec.variants[0]", "the model does not fit", "choose fp8"),
    ]
    answer = denied(read(review_of(pool())), wrong)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    response = answer["response"]
    assert (response["uid"], response["allowed"]) == ("question", False)
    status = response["status"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"].splitlines() == [each.message for each in wrong]
    details = status["details"]
    assert (details["group"], details["kind"], details["name"]) == ("mixserve.dev", "LLMServingPool", "chat")
    assert [(cause["field"], cause["message"]) for cause in details["causes"]] == [
        ("spec.engine.args[0]", "--port is set by the operator; leave it out"),
        ("spec.variants[0]", "the model does not fit; choose fp8"),
    ]


NESTED = 100_000
REQUEST = review_of(pool())["request"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "Invalid JSON", id="empty"),
        pytest.param(b"\xff\xfe\x00", "Invalid JSON", id="no text"),
        pytest.param(b"[" * NESTED + b"]" * NESTED, "recursion limit exceeded", id="nested too deeply"),
        pytest.param(b"[]", "AdmissionReview", id="a list"),
        pytest.param(b'{"a": ' + b"9" * 10_000 + b"}", "AdmissionReview", id="a huge number"),
        pytest.param(
            json.dumps({**review_of(pool()), "apiVersion": "admission.k8s.io/v1beta1"}).encode(),
            "apiVersion: must be 'admission.k8s.io/v1'",
            id="another version",
        ),
        pytest.param(json.dumps({**review_of(pool()), "request": None}).encode(), "request", id="no request"),
        pytest.param(
            json.dumps({**review_of(pool()), "request": {**REQUEST, "kind": {"group": "", "kind": "Pod"}}}).encode(),
            "not about one of LLMServingPool, SpeculativePair, RoutingPolicy of mixserve.dev",
            id="another kind",
        ),
        pytest.param(
            json.dumps({**review_of(pool()), "request": {**REQUEST, "object": None}}).encode(),
            "the review's object is no LLMServingPool",
            id="no object",
        ),
        pytest.param(
            json.dumps(review_of({**pool(), "metadata": {"name": 5}})).encode(),
            "metadata.name: must be a valid string",
            id="a name that is none",
        ),
        pytest.param(json.dumps(review_of(pool())).encode()[:-20], "Invalid JSON", id="cut off"),
    ],
)
def test_what_is_no_review_of_a_pool_is_refused_with_the_reason(body: bytes, says: str) -> None:
    with pytest.raises(BadReviewError, match=says.replace("(", "\\(")) as refused:
        read_review(body)
    assert len(str(refused.value)) < 1000


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.binary())
def test_any_bytes_are_a_review_or_refused(body: bytes) -> None:
    with pytest.raises(BadReviewError):
        read_review(body)


@given(request=st.dictionaries(st.sampled_from([*REQUEST, "subResource"]), anything), metadata=anything, spec=anything)
def test_any_fields_are_a_review_or_refused(request: dict[str, Any], metadata: Any, spec: Any) -> None:
    body = {**review_of(pool()), "request": {**REQUEST, "object": {**pool(), "metadata": metadata, "spec": spec}}}
    body["request"] |= request
    try:
        found = read_review(json.dumps(body).encode())
    except BadReviewError:
        return
    assert json.loads(json.dumps(allowed(found)))["response"]["uid"]
