"""Discrete-event runs: simulated engines behind replicas of a gateway, each with its own policy and its own scrapes."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Protocol

from mixserve.api.observation import EngineSample
from mixserve.route.picking.endpoint import Endpoint
from mixserve.simulate.engine import SimulatedEngineCore
from mixserve.simulate.settings import EngineSettings, HardwareFacts, ModelFactsForSimulation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workloads import Conversation, Turn

    from mixserve.simulate.requests import FinishedRequest

# An L4 with an 8B model in 4 bits: 100,000 tokens of KV cache, 30 to 60 ms per step, 0.26 ms per prompt token.
ENGINE = EngineSettings(
    hardware=HardwareFacts(memory_bytes=24 * 1024**3, memory_bandwidth_bytes_per_s=300e9, flops=121e12),
    model=ModelFactsForSimulation(
        parameters=8_000_000_000,
        active_parameters=8_000_000_000,
        weights_bytes=5_700_000_000,
        kv_bytes_per_token=131_072,
    ),
    max_model_len=20_000,
)
ADDRESSES = tuple(f"10.0.{number // 250}.{number % 250 + 1}:8000" for number in range(1000))


class Policy(Protocol):
    """One replica's way of choosing an engine."""

    def scraped(self, endpoints: Sequence[Endpoint], now_s: float) -> None:
        """Take the engines' newest samples."""
        ...

    def choose(self, turn: Turn, session: str) -> str:
        """The address of the engine that gets a request."""
        ...

    def ended(self, address: str) -> None:
        """Take note that a request of this replica has its whole answer."""
        ...


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How a run is set up."""

    engines: int = 8
    replicas: int = 2
    scrape_s: float = 0.5


@dataclass
class Outcome:
    """What became of the requests that were sent after the warm-up."""

    finished: list[FinishedRequest] = field(default_factory=list)
    steps: int = 0

    @property
    def ttft_s(self) -> list[float]:
        return sorted(request.first_token_at_s - request.queued_at_s for request in self.finished)

    def ttft_quantile_s(self, quantile: float) -> float:
        found = self.ttft_s
        return found[min(len(found) - 1, int(quantile * len(found)))]

    @property
    def hit_share(self) -> float:
        prompts = sum(request.request.prompt_tokens for request in self.finished)
        return sum(request.cached_tokens for request in self.finished) / prompts


class Fleet:
    """One run."""

    def __init__(self, setting: Setting, policy: Callable[[int], Policy], seed: int) -> None:
        self._setting = setting
        self._engines = {address: SimulatedEngineCore(ENGINE) for address in ADDRESSES[: setting.engines]}
        self._policies = [policy(replica) for replica in range(setting.replicas)]
        self._stepping: set[str] = set()
        self._rng = random.Random(seed)  # noqa: S311 - a workload, not a secret
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._after: dict[str, Callable[[float], None]] = {}
        self._outcome = Outcome()
        self._last_s = 0.0

    def run(self, conversations: Sequence[Conversation], *, warm_up_s: float) -> Outcome:
        for conversation in conversations:
            self._send_next(conversation, 0, conversation.begins_s)
            self._last_s = max(self._last_s, conversation.begins_s)
        for replica, policy in enumerate(self._policies):
            policy.scraped(self._endpoints(0.0), 0.0)
            # The replicas don't scrape at the same time.
            self._at((replica + 1) * self._setting.scrape_s / len(self._policies), self._scraping(replica))
        while self._events:
            now_s, _, event = heapq.heappop(self._events)
            event(now_s)
        sent = self._outcome.finished
        # Where the load ends, queues are shorter than they were; what was sent then counts as well.
        self._outcome.finished = [one for one in sent if warm_up_s <= one.queued_at_s <= self._last_s]
        return self._outcome

    def _at(self, at_s: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at_s, next(self._order), event))

    def _endpoints(self, now_s: float) -> list[Endpoint]:
        return [Endpoint(address=address, sample=_sample(engine, now_s)) for address, engine in self._engines.items()]

    def _scraping(self, replica: int) -> Callable[[float], None]:
        def scrape(now_s: float) -> None:
            self._policies[replica].scraped(self._endpoints(now_s), now_s)
            if now_s < self._last_s:
                self._at(now_s + self._setting.scrape_s, scrape)

        return scrape

    def _send_next(self, conversation: Conversation, turn: int, after_s: float) -> None:
        if turn < len(conversation.turns):
            at_s = after_s + conversation.turns[turn].pause_s
            self._at(at_s, lambda now_s: self._send(conversation, turn, now_s))

    def _send(self, conversation: Conversation, number: int, now_s: float) -> None:
        policy = self._rng.choice(self._policies)
        turn = conversation.turns[number]
        address = policy.choose(turn, conversation.session)

        def finished(at_s: float) -> None:
            policy.ended(address)
            self._send_next(conversation, number + 1, at_s)

        self._after[turn.request.request_id] = finished
        self._engines[address].submit(turn.request, now_s)
        if address not in self._stepping:
            self._step(address, now_s)

    def _step(self, address: str, now_s: float) -> None:
        engine = self._engines[address]
        self._stepping.discard(address)
        if not engine.has_work:
            return
        step = engine.step(now_s)
        self._outcome.steps += 1
        if not step.duration_s:
            return
        self._stepping.add(address)

        def ended(at_s: float) -> None:
            for request in step.finished:
                self._outcome.finished.append(request)
                self._after.pop(request.request.request_id)(at_s)
            self._step(address, at_s)

        self._at(step.ended_at_s, ended)


def _sample(engine: SimulatedEngineCore, now_s: float) -> EngineSample:
    return EngineSample(
        scraped_at_s=now_s,
        running=engine.running,
        waiting=engine.waiting,
        kv_cache_usage=engine.kv_cache_usage,
    )
