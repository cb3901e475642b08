"""What matters of the body of an OpenAI request, read from its raw bytes.

The bodies of `/v1/chat/completions`, `/v1/completions` and `/v1/embeddings` are read alike. Only the fields that a
decision needs are decoded, everything else is skipped, so that images in base64 or schemas of tools cost no objects.
The time is linear in the length of the body. Nesting is bounded by the interpreter's own limit, which any thread with
512 KB of stack can reach (tried up to Python 3.13).
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec


class Message(NamedTuple):
    """One message with the text of all its parts, joined by line ends; without any, the text is empty.

    Attributes:
        role: who speaks: system, user, assistant and so on.
        text: what can be read here.
        unread: the model gets more than the text: images, sounds, files, or tokens as numbers.
    """

    role: str
    text: str
    unread: bool = False


class Prompt(NamedTuple):
    """What the model is going to read, as far as a decision needs it.

    Attributes:
        messages: in the client's order. A completion or an embedding has one of role `user` for each of its texts.
    """

    messages: tuple[Message, ...]

    @property
    def text(self) -> str:
        """All messages in order, a line end between two."""
        return "\n".join(message.text for message in self.messages)


class InferenceRequest(NamedTuple):
    """A request that can be routed.

    Attributes:
        model: the name that the client sent; may be empty or unknown.
        stream: the answer is to come as events.
        prompt: what the model is going to read.
    """

    model: str
    stream: bool
    prompt: Prompt


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


_Texts = str | list[str | int | list[int]] | None
"""What a completion or an embedding is made for: one text or several, as such or as tokens."""


class _Body(msgspec.Struct):
    """The fields that are read; `msgspec` skips all others, and takes the last of those that come twice."""

    model: str
    stream: bool | None = None
    messages: list[_Message] | None = None
    prompt: _Texts = None
    input: _Texts = None


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
        messages = tuple(map(_as_message, read.messages))
    else:
        texts = read.input if read.prompt is None else read.prompt
        if texts is None:
            return Malformed("One of the fields messages, prompt and input is needed.")
        messages = _as_messages(texts)
    return InferenceRequest(model=read.model, stream=bool(read.stream), prompt=Prompt(messages))


def _as_message(message: _Message) -> Message:
    content = message.content
    if not isinstance(content, list):
        return Message(message.role, content or "")
    texts = [text for text in map(_part_text, content) if text is not None]
    return Message(message.role, "\n".join(texts), unread=len(texts) < len(content))


def _part_text(part: str | _Part) -> str | None:
    """The text of a part; None if it is an image, a sound, a file."""
    if isinstance(part, str):
        return part
    return part.text or "" if part.type in {"text", "input_text"} else part.text


def _as_messages(texts: str | Sequence[str | int | Sequence[int]]) -> tuple[Message, ...]:
    if isinstance(texts, str):
        return (Message("user", texts),)
    messages = [Message("user", text) for text in texts if isinstance(text, str)]
    # Tokens as numbers say nothing here: one message stands for all of them.
    tokens = [Message("user", "", unread=True)] if len(messages) < len(texts) else []
    return (*messages, *tokens)
