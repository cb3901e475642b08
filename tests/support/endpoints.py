"""Endpoints of a pool as picking sees them."""

from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.route.picking.endpoint import Endpoint

NOW_S = 1000.0
UNREACHABLE = Missing(MissingReason.UNREACHABLE)


def endpoint(
    number: int,
    *,
    running: int = 0,
    waiting: int = 0,
    kv_cache_usage: float = 0.1,
    adapters: tuple[str, ...] = (),
    scraped_at_s: float = NOW_S,
) -> Endpoint:
    """The endpoint 10.0.0.<number> with a sample."""
    sample = EngineSample(scraped_at_s=scraped_at_s, running=running, waiting=waiting, kv_cache_usage=kv_cache_usage)
    return Endpoint(address=address(number), sample=sample, adapters=frozenset(adapters))


def silent_endpoint(number: int) -> Endpoint:
    """The same without metrics."""
    return Endpoint(address=address(number), sample=UNREACHABLE)


def address(number: int) -> str:
    """Where an endpoint is reached."""
    return f"10.0.0.{number}:8000"


def idle_endpoints(count: int) -> list[Endpoint]:
    """Endpoints with nothing to do."""
    return [endpoint(number) for number in range(count)]
