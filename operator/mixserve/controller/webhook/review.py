"""AdmissionReviews: what the API server asks, and how it is answered. Values in, values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from mixserve.api.names import GROUP
from mixserve.api.problems import problems
from mixserve.apply.resources import PAIRS, POLICIES, POOLS
from mixserve.controller.webhook.errors import BadReviewError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mixserve.apply.resources import Resource
    from mixserve.validate.violation import Note, Violation

# A new object never takes a name from one that is there, also not from one of the same second.
_YOUNGEST = "9999-12-31T23:59:59Z"
_UNPROCESSABLE = 422
# Names and identifiers have at most 253 characters.
_LONGEST_TEXT = 512
# Somebody who sends nonsense has no use for all that is wrong with it.
_MOST_PROBLEMS = 3
_REVIEWED = {resource.kind: resource for resource in (POOLS, PAIRS, POLICIES)}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class _Kind(_Wire):
    group: str
    kind: str


class _Metadata(_Wire):
    name: str = Field("", max_length=_LONGEST_TEXT)
    uid: str = Field("", max_length=_LONGEST_TEXT)
    creation_timestamp: str | None = Field(None, max_length=_LONGEST_TEXT)
    deletion_timestamp: str | None = None


class _Object(_Wire):
    api_version: str
    kind: str
    metadata: _Metadata
    spec: Any = None


class _Request(_Wire):
    uid: str = Field(min_length=1, max_length=_LONGEST_TEXT)
    kind: _Kind
    operation: str = Field(max_length=_LONGEST_TEXT)
    namespace: str = Field("", max_length=_LONGEST_TEXT)
    sub_resource: str = ""
    # Read further down, once it is certain that they have to be judged: at a deletion the first one is null.
    object: dict[str, Any] | None = None
    old_object: dict[str, Any] | None = None


class _AdmissionReview(_Wire):
    api_version: Literal["admission.k8s.io/v1"]
    kind: Literal["AdmissionReview"]
    request: _Request


@dataclass(frozen=True)
class Review:
    """A question of the API server.

    Attributes:
        uid: which question.
        subject: the object to be judged, as the API server would store it, with no more metadata than that needs; None
            where there is nothing to judge: at deletions, and where the spec stays as it is.
        resource: what it is: a pool, a pair or a policy.
    """

    uid: str
    subject: Mapping[str, Any] | None
    resource: Resource = POOLS


def read_review(body: bytes) -> Review:
    """Read what was sent, whoever has sent it.

    Raises:
        BadReviewError: it is no AdmissionReview of a pool, a pair or a policy; says why.
    """
    try:
        # Gives up at a depth of 200, so that nothing that comes after it runs out of stack.
        request = _AdmissionReview.model_validate_json(body).request
    except ValidationError as error:
        raise _refusal("the body is no AdmissionReview of admission.k8s.io/v1", error) from None
    resource = _REVIEWED.get(request.kind.kind)
    if request.kind.group != GROUP or resource is None:
        raise BadReviewError(f"the review is not about one of {', '.join(_REVIEWED)} of {GROUP}")
    if request.operation not in {"CREATE", "UPDATE"} or request.sub_resource:
        return Review(request.uid, None)
    try:
        new = _Object.model_validate(request.object)
    except ValidationError as error:
        raise _refusal(f"the review's object is no {resource.kind}", error) from None
    if new.metadata.deletion_timestamp is not None:
        return Review(request.uid, None)
    is_new = request.operation == "CREATE"
    if not is_new and (request.old_object or {}).get("spec") == new.spec:
        return Review(request.uid, None)
    return Review(request.uid, _stored(new, request.namespace, is_new=is_new), resource)


def allowed(review: Review, notes: Iterable[Note] = ()) -> dict[str, Any]:
    """The answer that lets the object in; kubectl prints the notes."""
    response: dict[str, Any] = {"uid": review.uid, "allowed": True}
    warnings = [note.message for note in notes]
    return _answer({**response, "warnings": warnings} if warnings else response)


def denied(review: Review, violations: Iterable[Violation]) -> dict[str, Any]:
    """The answer that refuses the object, in the form in which the API server refuses what its schema does not take."""
    found, subject = tuple(violations), review.subject or {"metadata": {"name": ""}}
    status = {
        "status": "Failure",
        "code": _UNPROCESSABLE,
        "reason": "Invalid",
        "message": "\n".join(violation.message for violation in found),
        "details": {
            "group": GROUP,
            "kind": review.resource.kind,
            "name": subject["metadata"]["name"],
            "causes": [
                {"reason": "FieldValueInvalid", "field": each.field_path, "message": f"{each.cause}; {each.remedy}"}
                for each in found
            ],
        },
    }
    return _answer({"uid": review.uid, "allowed": False, "status": status})


def _answer(response: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}


def _refusal(what: str, error: ValidationError) -> BadReviewError:
    return BadReviewError(f"{what}: {'; '.join(map(str, problems(error)[:_MOST_PROBLEMS]))}")


def _stored(new: _Object, namespace: str, *, is_new: bool) -> dict[str, Any]:
    metadata = {
        "name": new.metadata.name,
        "namespace": namespace,
        "uid": new.metadata.uid,
        # Those of the version that is reviewed are not there yet.
        "resourceVersion": "0",
        "generation": 0,
        "creationTimestamp": _YOUNGEST if is_new else new.metadata.creation_timestamp or "",
    }
    return {"apiVersion": new.api_version, "kind": new.kind, "metadata": metadata, "spec": new.spec}
