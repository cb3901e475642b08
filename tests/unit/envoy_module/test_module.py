"""The module that Envoy loads: its own tests, and the readers of strangers' bytes against what Python makes of them."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mixserve.envoy_module
from mixserve.envoy_module import ModuleMissingError, module_path
from mixserve_devcluster.binaries import cache_directory

SOURCES = Path(mixserve.envoy_module.__file__).parent
KINDS = ("broken", "nameless", "named")
LONGEST_NAME, LONGEST_USAGE = 256, 2048


def zig(*arguments: str) -> None:
    directory = str(cache_directory() / "zig")
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": directory, "ZIG_LOCAL_CACHE_DIR": directory}
    command = [sys.executable, "-m", "ziglang", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_its_own_tests_pass() -> None:
    zig("test", str(SOURCES / "all_tests.zig"))


def test_there_is_one_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module_path().read_bytes().startswith(b"\x7fELF")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert module_path().name == "libmixserve.aarch64.so"
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ModuleMissingError, match="riscv64"):
        module_path()


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("probe") / "libprobe.so"
    zig("build-lib", "-dynamic", f"-femit-bin={library}", str(SOURCES / "probe.zig"))
    loaded = ctypes.CDLL(str(library))
    for name in ("read_usage", "whole_events", "without_usage"):
        getattr(loaded, name).restype = ctypes.c_size_t
    return loaded


def pieces(text: bytes, cuts: list[int]) -> Any:
    ends = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    lengths = [end - start for start, end in pairwise(ends)] or [0]
    return (ctypes.c_size_t * len(lengths))(*lengths), len(lengths)


def read_request(probe: ctypes.CDLL, body: bytes, cuts: list[int]) -> tuple[str, str, bool]:
    name, length, wants = ctypes.create_string_buffer(LONGEST_NAME), ctypes.c_size_t(), ctypes.c_bool()
    kind = probe.read_request(body, *pieces(body, cuts), name, ctypes.byref(length), ctypes.byref(wants))
    return KINDS[kind], name.raw[: length.value].decode("ascii"), wants.value


def read_usage(probe: ctypes.CDLL, answer: bytes, cuts: list[int]) -> bytes:
    found = ctypes.create_string_buffer(LONGEST_USAGE)
    length = probe.read_usage(answer, *pieces(answer, cuts), found)
    return found.raw[:length]


texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["model", "usage", "include_usage", "stream_options", "choices", '"model":"x"', "\\", '"', "{", "}]", "\n"]
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)
requests = st.dictionaries(texts, values, max_size=5).flatmap(
    lambda rest: st.fixed_dictionaries(
        {},
        optional={
            "model": values,
            "stream_options": values | st.fixed_dictionaries({"include_usage": values}),
        },
    ).map(lambda known: {**rest, **known})
)
cuts = st.lists(st.integers(0, 10**6), max_size=8)
forms = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])


def expected(body: dict[str, Any]) -> tuple[str, str, bool]:
    model = body.get("model")
    name = model if isinstance(model, str) else ""
    options = body.get("stream_options")
    wants = isinstance(options, dict) and options.get("include_usage") is True
    return "named" if name else "nameless", name, wants


def is_plain(name: str) -> bool:
    return len(name) <= LONGEST_NAME and name.isascii() and name.isprintable()


@given(body=requests, form=forms, cuts=cuts)
@settings(deadline=None)
def test_requests_are_read_as_python_reads_them(
    probe: ctypes.CDLL, body: dict[str, Any], form: Any, cuts: list[int]
) -> None:
    kind, name, wants = read_request(probe, json.dumps(body, **form).encode(), cuts)
    wanted_kind, wanted_name, wanted = expected(body)
    assert (kind, wants) == (wanted_kind, wanted)
    if is_plain(wanted_name):
        assert name == wanted_name
    else:
        assert is_plain(name)
        assert name != wanted_name


# Often enough objects, with keys that come twice, and with words where they mean nothing.
parts = st.sampled_from(
    [*'{}[],: 5"', '"a"', '"model":', '"model"', '"usage":', '"usage"', '{"x":1}', '"stream_options":{', "true", "\\"]
) | st.sampled_from(
    ['"include_usage":true', '"include_usage":', '"model":"b",', '"model":"c"', "},", '"usage":{"x":1},']
)
broken = st.lists(parts, max_size=12).map("".join)
objects = broken.map(lambda inner: f"{{{inner}}}")


@given(body=st.binary(max_size=200) | broken.map(str.encode) | objects.map(str.encode), cuts=cuts)
@example(body=b'{"\\u006dodel":"a"}', cuts=[3])
@example(body=b'{"model":"a","model":5}', cuts=[])
@settings(deadline=None, max_examples=400)
def test_no_bytes_are_fatal_and_pieces_do_not_matter(probe: ctypes.CDLL, body: bytes, cuts: list[int]) -> None:
    found = read_request(probe, body, cuts)
    assert found == read_request(probe, body, [])
    assert read_usage(probe, body, cuts) == read_usage(probe, body, [])
    try:
        read = json.loads(body.decode())
    except ValueError:
        return
    assert found == expected(read) if isinstance(read, dict) else found[0] == "broken"


@given(
    events=st.lists(st.dictionaries(texts, values, max_size=3), max_size=5),
    used=st.lists(st.none() | st.dictionaries(texts.filter(lambda text: not set(text) & set("{}")), st.integers())),
    cuts=cuts,
)
@settings(deadline=None)
def test_the_last_usage_is_found(
    probe: ctypes.CDLL, events: list[dict[str, Any]], used: list[dict[str, int] | None], cuts: list[int]
) -> None:
    told = [
        {"choices": [{"text": json.dumps(event)}], "usage": usage} for event, usage in zip(events, used, strict=False)
    ]
    answer = b"".join(b"data: %b\n\n" % json.dumps(one).encode() for one in told)
    wanted = [one["usage"] for one in told if one["usage"] is not None]
    found = read_usage(probe, answer, cuts)
    assert (json.loads(found) if found else None) == (wanted[-1] if wanted else None)


lines = st.sampled_from(["data: 1", "data: [DONE]", ": x", 'data: {"choices":[],"usage":{}}', 'data: {"choices":[{}]}'])
ends = st.sampled_from(["\n", "\r\n", "\r"])


@given(events=st.lists(lines, max_size=6), end=ends, rest=st.text("dat:\n", max_size=3))
@settings(deadline=None)
def test_events_end_where_the_standard_says(probe: ctypes.CDLL, events: list[str], end: str, rest: str) -> None:
    rest = rest.strip("\n")
    whole = "".join(f"{line}{end}{end}" for line in events).encode()
    text = whole + rest.encode()
    assert probe.whole_events(text, len(text)) == len(whole)

    buffer = ctypes.create_string_buffer(whole, len(whole))
    length = probe.without_usage(buffer, len(whole))
    assert buffer.raw[:length].decode() == "".join(
        f"{line}{end}{end}" for line in events if not re.search(r'\[\],"usage":\{', line)
    )
