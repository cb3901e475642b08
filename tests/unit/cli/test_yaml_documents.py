from __future__ import annotations

import pytest

from mixserve.cli.yaml_documents import MOST_DEPTH, YamlError, documents


def test_each_document_is_a_value_and_empty_ones_are_none() -> None:
    assert documents(b"a: 1\n---\n---\n- {b: [2]}\n") == [{"a": 1}, None, [{"b": [2]}]]


def test_json_is_yaml() -> None:
    assert documents(b'{"a": [1, {"b": null}]}') == [{"a": [1, {"b": None}]}]


def test_anchors_and_merges_are_followed() -> None:
    assert documents(b"a: &a {x: 1}\nb: *a\nc: {<<: *a, z: 2}\nd: &d 3\ne: *d\n") == [
        {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "z": 2}, "d": 3, "e": 3}
    ]


def test_y_and_n_are_the_booleans_that_kubectl_makes_of_them() -> None:
    assert documents(b"[y, N, yes, ny, 'y']") == [[True, False, True, "ny", "y"]]


def test_as_many_levels_as_any_manifest_has_are_read() -> None:
    levels = MOST_DEPTH - 1
    assert documents(b"[" * levels + b"]" * levels)


def bomb(levels: int) -> bytes:
    lines = ["l0: &l0 x"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 10)}]" for level in range(1, levels)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a: [1", "did not find expected"),
        (b"[" * 200_000, "line 1, column 100: more than 100 levels"),
        (b"- " * 200_000, "more than 100 levels"),
        (b"{a: " * 200_000, "more than 100 levels"),
        (bomb(9), "more than 1000000 keys and values"),
        (b"a: &a [*a]", "the alias a stands for nothing, or for what it is part of"),
        (b"a: *b", "the alias b stands for nothing"),
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: the key a is there twice"),
        (b"? [a]\n: b", "line 1, column 3: a key must be a text"),
        (b"{{ .Values.name }}", "a key must be a text"),
        (b"a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        (b"a: 2026-13-01", "month must be in 1..12"),
        (b"a: " + b"1" * 5000, "5000 digits"),
        (b"a: \xff\xfe", "invalid leading UTF-8 octet"),
        (b"a: \x00", "unacceptable character"),
    ],
)
def test_what_is_not_yaml_or_should_not_be_read_says_why(text: bytes, words: str) -> None:
    with pytest.raises(YamlError) as error:
        documents(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
