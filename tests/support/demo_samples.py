"""A recording's sample to start from."""

from mixserve_devcluster.demo.recording import Sample

QUIET = Sample(
    at_s=0.0,
    replicas=1,
    ready=1,
    starting=0,
    draining=0,
    running=0,
    waiting=0,
    kv_cache_usage=None,
    ttft_p95_s=None,
    decision="",
)
