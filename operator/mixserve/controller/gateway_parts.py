"""What of the operator is about gateways and RoutingPolicies, put together; nothing at all where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from mixserve.controller.gateways import Gateways
from mixserve.controller.policies import Policies
from mixserve.controller.policy_status import PolicyReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import aiohttp

    from mixserve.apply.connection import Connection
    from mixserve.controller.cluster_view import ClusterView
    from mixserve.controller.event_poster import EventPoster
    from mixserve.controller.object_cache import GatewayKey
    from mixserve.controller.parsed_specs import ParsedSpecs
    from mixserve.controller.telemetry import Telemetry
    from mixserve.plan.gateway_options import GatewayOptions


@dataclass(frozen=True, kw_only=True)
class GatewayParts:
    """The parts; all of them None without gateways."""

    policies: Policies | None = None
    gateways: Gateways | None = None
    reporter: PolicyReporter | None = None

    @classmethod
    def of(
        cls,
        options: GatewayOptions | None,
        *,
        connection: Connection,
        view: ClusterView,
        specs: ParsedSpecs,
        session: aiohttp.ClientSession,
        events: EventPoster,
        telemetry: Telemetry,
    ) -> Self:
        """Put them together.

        Args:
            options: how gateways are deployed; None: there are none.
            connection: to the API server.
            view: the caches.
            specs: parses.
            session: carries the requests to gateways.
            events: takes what people look for.
            telemetry: takes what was done.
        """
        if options is None:
            return cls()
        policies = Policies(view, specs)
        refused: dict[GatewayKey, tuple[str, ...]] = {}
        reporter = PolicyReporter(
            connection,
            view=view,
            policies=policies,
            refused=refused,
            session=session,
            options=options,
            events=events,
        )
        gateways = Gateways(
            connection,
            view=view,
            policies=policies,
            options=options,
            events=events,
            telemetry=telemetry,
            refused=refused,
            told=reporter.look,
        )
        return cls(policies=policies, gateways=gateways, reporter=reporter)

    @property
    def forgetters(self) -> Sequence[Callable[[str], None]]:
        """Each is called with the uid of every object that is gone."""
        parts = (self.policies, self.gateways, self.reporter)
        return [part.forget for part in parts if part is not None]

    def runs(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What goes on until it is cancelled."""
        return [] if self.reporter is None else [self.reporter.run()]

    def look(self) -> None:
        """There is news about policies, or about what takes their requests."""
        if self.reporter is not None:
            self.reporter.look()

    async def reconcile(self, key: GatewayKey) -> None:
        """Look at a gateway.

        Raises:
            RefusedError, ApiError: look again later.
        """
        if self.gateways is not None:
            await self.gateways.reconcile(key)
