"""What matters of the body of an OpenAI request, read from its raw bytes.

The bodies of `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings` are read alike. Only the fields that a
decision needs are decoded, everything else is skipped, so that images in base64 or schemas of tools cost no objects.
The time is linear in the length of the body. Nesting is bounded by the interpreter's own limit, which any thread with
512 KB of stack can reach (tried up to Python 3.13).
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

SYSTEM_ROLES = frozenset({"system", "developer"})
"""`developer` is what OpenAI calls the system message of its newer models."""


class RequestKind(StrEnum):
    """What the client asks for; by the field that carries its text, as each endpoint has another one."""

    CHAT = "Chat"
    COMPLETION = "Completion"
    EMBEDDING = "Embedding"


class Message(NamedTuple):
    """One message with the text of all its parts, joined by line ends; without any, the text is empty."""

    role: str
    text: str


class Prompt(NamedTuple):
    """What the model is going to read, as far as a decision needs it.

    Attributes:
        messages: in the client's order. A completion or an embedding has one of role `user` for each of its texts.
        attachments: images, sounds and files among the parts.
        token_ids: tokens that came as numbers instead of text.
        tools: functions that the model may call.
        structured_output: the answer has to have a given form, JSON for example.
    """

    messages: tuple[Message, ...]
    attachments: int = 0
    token_ids: int = 0
    tools: int = 0
    structured_output: bool = False

    @property
    def system(self) -> str:
        """The texts of the system messages, a line end between two."""
        return "\n".join(message.text for message in self.messages if message.role in SYSTEM_ROLES)

    @property
    def user_turns(self) -> tuple[str, ...]:
        """The texts of the user's messages, oldest first."""
        return tuple(message.text for message in self.messages if message.role == "user")

    @property
    def text(self) -> str:
        """All messages in order, a line end between two."""
        return "\n".join(message.text for message in self.messages)


class InferenceRequest(NamedTuple):
    """A request that can be routed.

    Attributes:
        kind: what is asked for.
        model: the name that the client sent; may be empty or unknown.
        stream: the answer is to come as events.
        prompt: what the model is going to read.
        max_tokens: the most tokens that the answer may have; None where the client leaves it to the engine.
    """

    kind: RequestKind
    model: str
    stream: bool
    prompt: Prompt
    max_tokens: int | None


class Malformed(NamedTuple):
    """A body that no engine could answer: what is wrong, in words for the client, and the field, if it is one."""

    message: str
    param: str | None = None


class _Part(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    role: str = "user"
    content: str | list[str | _Part] | None = None


_NULL = msgspec.Raw(b"null")


class _ResponseFormat(msgspec.Struct):
    type: str = "text"


_Texts = str | list[str | int | list[int]] | None
"""What a completion or an embedding is made for: one text or several, as such or as tokens."""


class _Body(msgspec.Struct):
    """The fields that are read; `msgspec` skips all others, and takes the last of those that come twice."""

    model: str
    stream: bool | None = None
    messages: list[_Message] | None = None
    prompt: _Texts = None
    input: _Texts = None
    tools: list[msgspec.Raw] | None = None
    response_format: _ResponseFormat | None = None
    structured_outputs: msgspec.Raw = _NULL
    max_tokens: int | None = None
    max_completion_tokens: int | None = None


_DECODER = msgspec.json.Decoder(_Body)


def read_request(body: bytes) -> InferenceRequest | Malformed:
    """Read a request, or say what is wrong with it.

    Strict where OpenAI is: a number is no string and a string no number, `NaN` is no JSON, text is UTF-8. Fields that
    are not read are not checked beyond their syntax; the engine does that.
    """
    try:
        body.decode()  # skipped strings are not looked into, but no engine takes other bytes
        read = _DECODER.decode(body)
    except UnicodeDecodeError as error:
        return Malformed(f"The body is not valid UTF-8 (byte {error.start}).")
    except RecursionError:
        return Malformed("The body is nested too deeply.")
    except msgspec.ValidationError as error:
        return _invalid(str(error))
    except msgspec.DecodeError as error:
        return Malformed(f"The body is not valid JSON: {error}.")
    return _request(read)


def _invalid(error: str) -> Malformed:
    """`msgspec` writes: Expected `str`, got `int` - at `$.messages[0].role`."""
    if error.endswith("field `model`"):
        return Malformed("The field model is missing.", param="model")
    problem, _, place = error.replace("`", "").partition(" - at $.")
    if not place:
        return Malformed(f"The body is not a JSON object: {problem}.")
    return Malformed(f"Invalid value for {place}: {problem[0].lower()}{problem[1:]}.", param=place)


def _request(read: _Body) -> InferenceRequest | Malformed:
    if read.messages is not None:
        kind, prompt = RequestKind.CHAT, _chat_prompt(read, read.messages)
    elif read.prompt is not None:
        kind, prompt = RequestKind.COMPLETION, _texts_prompt(read.prompt)
    elif read.input is not None:
        kind, prompt = RequestKind.EMBEDDING, _texts_prompt(read.input)
    else:
        return Malformed("One of the fields messages, prompt and input is needed.")
    newer = read.max_completion_tokens
    return InferenceRequest(
        kind=kind,
        model=read.model,
        stream=bool(read.stream),
        prompt=prompt,
        max_tokens=read.max_tokens if newer is None else newer,
    )


def _chat_prompt(read: _Body, messages: Sequence[_Message]) -> Prompt:
    attachments = 0
    texts: list[Message] = []
    for message in messages:
        content = message.content
        if isinstance(content, list):
            parts = [part for part in map(_part_text, content) if part is not None]
            attachments += len(content) - len(parts)
            texts.append(Message(message.role, "\n".join(parts)))
        else:
            texts.append(Message(message.role, content or ""))
    return Prompt(
        messages=tuple(texts),
        attachments=attachments,
        tools=len(read.tools or ()),
        structured_output=_is_structured(read),
    )


def _part_text(part: str | _Part) -> str | None:
    """The text of a part; None if it is an image, a sound, a file."""
    if isinstance(part, str):
        return part
    return part.text or "" if part.type in {"text", "input_text"} else part.text


def _is_structured(read: _Body) -> bool:
    by_format = read.response_format is not None and read.response_format.type != "text"
    return by_format or bytes(read.structured_outputs) != b"null"  # the latter is vLLM's own field


def _texts_prompt(texts: str | Sequence[str | int | Sequence[int]]) -> Prompt:
    if isinstance(texts, str):
        return Prompt((Message("user", texts),))
    return Prompt(
        messages=tuple(Message("user", text) for text in texts if isinstance(text, str)),
        token_ids=sum(_token_count(text) for text in texts),
    )


def _token_count(text: str | int | Sequence[int]) -> int:
    if isinstance(text, str):
        return 0
    return 1 if isinstance(text, int) else len(text)
