"""From the body of a request to the body of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from mixserve.apply.resources import PAIRS, POLICIES
from mixserve.controller.object_cache import key_of
from mixserve.controller.webhook.review import allowed, denied, read_review

if TYPE_CHECKING:
    from collections.abc import Callable

    from mixserve.controller.webhook.judging import Judge

_log = structlog.get_logger(__name__)


class Answerer:
    """Answers AdmissionReviews, and writes nothing: a dry run is answered as any other.

    Args:
        judge: says what is wrong with a pool, a pair or a policy.
        count: called with each outcome: unchanged, allowed or denied.
    """

    def __init__(self, judge: Judge, count: Callable[[str], None]) -> None:
        self._judge = judge
        self._count = count

    async def answer(self, body: bytes) -> dict[str, Any]:
        """The AdmissionReview with the response.

        Raises:
            BadReviewError: the body is no AdmissionReview of a pool, a pair or a policy.
            ApiError: what is needed to judge it can't be read.
        """
        review = read_review(body)
        if review.subject is None:
            self._count("unchanged")
            return allowed(review)
        judges = {PAIRS: self._judge.judge_pair, POLICIES: self._judge.judge_policy}
        violations, notes = await judges.get(review.resource, self._judge.judge)(review.subject)
        if not violations:
            self._count("allowed")
            return allowed(review, notes)
        self._count("denied")
        reasons = sorted({violation.reason for violation in violations})
        _log.info("object_refused", kind=review.resource.kind, object=str(key_of(review.subject)), reasons=reasons)
        return denied(review, violations)
