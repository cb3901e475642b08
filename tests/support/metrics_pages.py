"""A metrics page of an engine, cut down to what tests look at."""

from mixserve.engines.protocol import MetricNames, MetricsPage, SpeculationNames

NAMES = MetricNames(
    running=("vllm:num_requests_running",),
    waiting=("vllm:num_requests_waiting",),
    kv_cache_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    speculation=SpeculationNames(
        drafts="vllm:spec_decode_num_drafts_total",
        proposed="vllm:spec_decode_num_draft_tokens_total",
        kept="vllm:spec_decode_num_accepted_tokens_total",
    ),
)
GAUGES = MetricsPage(path="/metrics", names=NAMES)

PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="tiny"} 7.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="tiny",reason="capacity"} 100.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
"""
