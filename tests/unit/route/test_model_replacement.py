import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.request import InferenceRequest, Malformed, read_request, with_model

NAMES = ["model", '"model"', 'a"model', "mode", "model\\", "models", "MODEL", 'x": "model": "']
"""Keys and texts that look like the key, wholly or in part."""

texts = st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
spaces = st.text(" \t\r\n", max_size=2)


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """A string of JSON, in one of the many ways to write it."""
    plain = json.dumps(text, ensure_ascii=draw(st.booleans()))
    if not draw(st.booleans()):
        return plain
    escaped = (f"\\u{ord(letter):04{draw(st.sampled_from('xX'))}}" for letter in text)
    return f'"{"".join(escaped)}"' if all(ord(letter) < 0x10000 for letter in text) else plain


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Requests with `model` once or more often, somewhere, and the word in many other places."""
    names = draw(st.lists(texts, min_size=1, max_size=3))
    fields = [("model", name) for name in names] + [("prompt", draw(texts))]
    fields += draw(st.lists(st.tuples(st.sampled_from(NAMES[1:]) | st.just("user"), values), max_size=4))
    written = [
        f"{draw(spaces)}{draw(spelled(key))}{draw(spaces)}:{draw(spaces)}"
        + (draw(spelled(value)) if isinstance(value, str) else json.dumps(value))
        for key, value in draw(st.permutations(fields))
    ]
    return (draw(spaces) + "{" + ",".join(written) + draw(spaces) + "}").encode()


@given(bodies(), texts)
def test_only_the_model_at_the_top_changes(body: bytes, model: str) -> None:
    assert isinstance(read_request(body), InferenceRequest)
    changed = with_model(body, model)

    def pairs(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        return found

    before = json.loads(body, object_pairs_hook=pairs)
    after = json.loads(changed, object_pairs_hook=pairs)
    assert after == [(key, model if key == "model" else value) for key, value in before]


@given(bodies())
def test_the_model_that_is_there_changes_nothing_of_the_meaning(body: bytes) -> None:
    request = read_request(body)
    assert isinstance(request, InferenceRequest)
    assert read_request(with_model(body, request.model)) == request


@given(st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_no_body_raises(body: bytes) -> None:
    assert isinstance(read_request(body), InferenceRequest | Malformed)


@given(values)
def test_what_is_read_is_json(value: object) -> None:
    """What Python takes for JSON and the reader does not is only `NaN`, lone surrogates and the like."""
    body = json.dumps({"model": "a", "prompt": "x", "extra": value}).encode()
    assert isinstance(read_request(body), InferenceRequest)


def test_bytes_beside_the_model_stay_as_they_are() -> None:
    body = b'{ "seed": 1.0e1, "big": 123456789012345678901234567890,\n "model" : "auto", "prompt": "\\u00e4" }'
    assert with_model(body, "") == body.replace(b'"auto"', b'""')


def test_a_model_in_the_schema_of_a_tool_is_left_alone() -> None:
    body = b'{"tools":[{"model":"inner"}],"messages":[{"content":"the \\"model\\": \\"x\\""}],"model":"auto"}'
    assert with_model(body, "pool-a") == body.replace(b'"auto"', b'"pool-a"')


def test_every_model_of_a_body_with_several_changes() -> None:
    """Two readers may take different ones of them for the one that counts."""
    assert with_model(b'{"model":"a","prompt":"x","\\u006dodel":"b"}', "c") == (
        b'{"model":"c","prompt":"x","\\u006dodel":"c"}'
    )
