"""Questions and answers as they are written."""

from __future__ import annotations

import inspect
import json

from mixserve.gateway.deciding import Question, Refusal, Verdict, deciding, encode, question_of
from mixserve.gateway.unix_server import Request


def headers_of(answer: bytes) -> dict[str, str]:
    head = answer.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return dict(line.split(": ", 1) for line in head[1:])


def test_a_question_names_a_policy_or_a_pool():
    wishes = {"x-mixserve-tier": "t", "x-mixserve-pool": "p", "x-mixserve-session": "s", "content-length": "2"}
    assert question_of(Request("/decide/policy/auto", wishes, b"{}")) == Question(
        policy="auto", pool=None, body=b"{}", tier="t", wished_pool="p", session="s"
    )
    assert question_of(Request("/decide/pool/small", {}, b"")) == Question(policy=None, pool="small", body=b"")


def test_a_verdict_says_only_what_it_decides():
    assert headers_of(encode(Verdict())) == {"x-mixserve-decided": "1", "content-length": "0"}
    verdict = Verdict(
        chain="auto/t1/a",
        endpoints=("10.0.0.1:1", "[fd00::1]:2"),
        labels={"tier": "t1", "complexity": "3"},
        first_byte_timeout_s=1.5,
    )
    assert headers_of(encode(verdict)) == {
        "x-mixserve-decided": "1",
        "x-mixserve-chain": "auto/t1/a",
        "x-mixserve-endpoints": "10.0.0.1:1,[fd00::1]:2",
        "x-mixserve-tier": "t1",
        "x-mixserve-complexity": "3",
        "x-mixserve-first-byte-timeout-ms": "1500",
        "content-length": "0",
    }


def test_a_refusal_is_an_error_of_the_api():
    refused = encode(Refusal(status=429, message="Later.", kind="rate_limit_error", retry_after_s=3))
    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ")
    assert headers_of(refused)["retry-after"] == "3"
    error = {"message": "Later.", "type": "rate_limit_error", "param": None, "code": None}
    assert json.loads(body) == {"error": error}
    assert "retry-after" not in headers_of(encode(Refusal(status=400, message="x", kind="y")))


async def test_a_decider_may_answer_at_once_or_later():
    async def later(_question: Question) -> Verdict:
        return Verdict()

    request = Request("/decide/pool/p", {}, b"")
    assert deciding(lambda _question: Verdict())(request) == encode(Verdict())
    pending = deciding(later)(request)
    assert inspect.isawaitable(pending)
    assert await pending == encode(Verdict())
