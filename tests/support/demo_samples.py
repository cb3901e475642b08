"""Samples of a recording to start from."""

from mixserve_devcluster.demo.recording import PoolSample, Sample

QUIET_POOL = PoolSample(
    replicas=1,
    ready=1,
    starting=0,
    draining=0,
    running=0,
    waiting=0,
    kv_cache_usage=None,
    answered=0,
    decision="",
)


def sample_of(at_s: float, **pools: PoolSample) -> Sample:
    """All pools at one time."""
    return Sample(at_s=at_s, pools=pools, ttft_p95_s=None)
