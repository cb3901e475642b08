"""What an engine answers to a request that it does not take."""

from __future__ import annotations

from typing import Any


class RequestError(Exception):
    """A request that gets no answer.

    Attributes:
        status: the HTTP status.
        kind: the error's type in the answer.
        param: the field that is wrong, if one is.
    """

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        status: int = 400,
        kind: str = "BadRequestError",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    def body(self) -> dict[str, Any]:
        """The answer's JSON, in OpenAI's form."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}}

    def trtllm_body(self) -> dict[str, Any]:
        """The answer's JSON as TensorRT-LLM writes it: without an `error` around it."""
        return {"object": "error", **self.body()["error"]}
