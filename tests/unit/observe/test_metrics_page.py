from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from mixserve.api.observation import EngineSample, Missing, MissingReason, SpeculationCounts
from mixserve.engines.protocol import SpeculationNames
from mixserve.observe.metrics_page import read_metrics_page
from support.metrics_pages import NAMES, PAGE


def read(page: str) -> EngineSample | Missing:
    return read_metrics_page(page.encode(), NAMES, scraped_at_s=5.0)


def test_it_reads_the_three_signals() -> None:
    found = read(PAGE)
    assert isinstance(found, EngineSample)
    assert (found.scraped_at_s, found.running, found.waiting, found.kv_cache_usage) == (5.0, 3, 7, 0.25)


def test_a_longer_name_is_another_metric() -> None:
    found = read(PAGE.replace("vllm:num_requests_waiting{", "vllm:num_requests_waiting_for_lora{"))
    assert isinstance(found, Missing)
    assert found.reason is MissingReason.METRIC_ABSENT


def test_data_parallel_engines_add_their_requests_and_the_fullest_cache_counts() -> None:
    second = PAGE.replace('engine="0"', 'engine="1"').replace("0.25", "0.75")
    found = read(PAGE + second)
    assert isinstance(found, EngineSample)
    assert (found.running, found.waiting, found.kv_cache_usage) == (6, 14, 0.75)


def test_an_older_name_is_read_where_the_newest_is_absent() -> None:
    found = read(PAGE.replace("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"))
    assert isinstance(found, EngineSample)
    assert found.kv_cache_usage == 0.25


def test_labels_may_hold_braces_and_blanks_and_a_time_may_follow() -> None:
    found = read(PAGE.replace('model_name="tiny"} 3.0', 'model_name="a } b"} 3.0 1700000000000'))
    assert isinstance(found, EngineSample)
    assert found.running == 3


def test_a_metric_without_labels_is_read() -> None:
    found = read(PAGE.replace('{engine="0",model_name="tiny"} 3.0', " 4"))
    assert isinstance(found, EngineSample)
    assert found.running == 4


def test_the_last_line_may_lack_its_line_break() -> None:
    assert isinstance(read(PAGE.rstrip()), EngineSample)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("vllm:kv_cache_usage_perc{", "vllm:other{", MissingReason.METRIC_ABSENT),
        ("} 0.25", "} NaN", MissingReason.UNPARSABLE),
        ("} 0.25", "} +Inf", MissingReason.UNPARSABLE),
        ("} 0.25", "} 1.5", MissingReason.UNPARSABLE),
        ("} 0.25", "}", MissingReason.UNPARSABLE),
        ("} 3.0", "} -1", MissingReason.UNPARSABLE),
        ("} 3.0", "} 2.5", MissingReason.UNPARSABLE),
        ("} 3.0", "} three", MissingReason.UNPARSABLE),
    ],
)
def test_a_signal_that_makes_no_sense_is_no_data(old: str, new: str, reason: MissingReason) -> None:
    found = read(PAGE.replace(old, new))
    assert isinstance(found, Missing)
    assert found.reason is reason


def test_an_empty_page_is_no_data() -> None:
    assert read("") == Missing(MissingReason.METRIC_ABSENT, "no vllm:num_requests_running on the metrics page")


@given(
    label=st.text(alphabet=st.characters(codec="utf-8", exclude_characters='\r\n\x00\\"')),
    running=st.integers(min_value=0, max_value=10**6),
    usage=st.floats(min_value=0, max_value=1),
)
def test_it_agrees_with_the_parser_of_prometheus(label: str, running: int, usage: float) -> None:
    page = PAGE.replace("tiny", label).replace("} 3.0", f"}} {running}").replace("0.25", repr(usage))
    found = read(page)
    parsed = {sample.name: sample.value for family in text_string_to_metric_families(page) for sample in family.samples}
    assert isinstance(found, EngineSample)
    assert found.running == parsed["vllm:num_requests_running"]
    assert found.kv_cache_usage == parsed["vllm:kv_cache_usage_perc"]


SPECULATION = """\
vllm:spec_decode_num_drafts_total{engine="0",model_name="tiny"} 100.0
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="tiny"} 300.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="tiny"} 1.8e+02
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="tiny",position="0"} 90.0
vllm:spec_decode_num_drafts_created{engine="0",model_name="tiny"} 1.78e+09
"""


def speculation(page: str) -> object:
    found = read(page)
    assert isinstance(found, EngineSample)
    return found.speculation


def test_counters_of_speculative_decoding_are_read_where_they_are() -> None:
    assert speculation(PAGE + SPECULATION) == SpeculationCounts(100, 300, 180, since_last_read=False)


def test_data_parallel_engines_add_their_counters() -> None:
    second = SPECULATION.replace('engine="0"', 'engine="1"')
    assert speculation(PAGE + SPECULATION + second) == SpeculationCounts(200, 600, 360, since_last_read=False)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (PAGE, MissingReason.METRIC_ABSENT),
        (PAGE + SPECULATION.replace("180", "NaN").replace("1.8e+02", "NaN"), MissingReason.UNPARSABLE),
        (PAGE + SPECULATION.replace("num_drafts_total", "num_something_total"), MissingReason.METRIC_ABSENT),
    ],
)
def test_without_them_the_gauges_count_all_the_same(page: str, reason: MissingReason) -> None:
    found = speculation(page)
    assert isinstance(found, Missing)
    assert found.reason is reason


def test_an_engine_need_not_count_drafts() -> None:
    names = replace(NAMES, speculation=SpeculationNames(drafts=None, proposed="proposed_total", kept="kept_total"))
    found = read_metrics_page(f"{PAGE}proposed_total 30\nkept_total 20\n".encode(), names, scraped_at_s=5.0)
    assert isinstance(found, EngineSample)
    assert found.speculation == SpeculationCounts(None, 30, 20, since_last_read=False)


def test_a_page_that_never_has_them_is_not_searched() -> None:
    found = read_metrics_page((PAGE + SPECULATION).encode(), replace(NAMES, speculation=None), scraped_at_s=5.0)
    assert isinstance(found, EngineSample)
    assert found.speculation == Missing(MissingReason.METRIC_ABSENT)
