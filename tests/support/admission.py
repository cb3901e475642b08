"""AdmissionReviews as the API server sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def review_of(
    pool: Mapping[str, Any] | None,
    *,
    before: Mapping[str, Any] | None = None,
    operation: str | None = None,
    subResource: str = "",  # noqa: N803 - as on the wire
    **metadata: Any,
) -> dict[str, Any]:
    """The review of the creation of a pool or a pair or, if there is one before it, of its change."""
    new = None if pool is None else {**pool, "metadata": {**pool["metadata"], **metadata}}
    kind = (pool or before or {}).get("kind", "LLMServingPool")
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "question",
            "kind": {"group": "mixserve.dev", "version": "v1alpha1", "kind": kind},
            "resource": {"group": "mixserve.dev", "version": "v1alpha1", "resource": f"{kind.lower()}s"},
            "name": "chat",
            "namespace": "team",
            "operation": operation or ("CREATE" if before is None else "UPDATE"),
            "userInfo": {"username": "somebody"},
            "object": new,
            "oldObject": before,
            "dryRun": False,
            "subResource": subResource,
        },
    }
