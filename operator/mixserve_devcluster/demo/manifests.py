"""The example that the demo applies: its pools, and the policy in front of them, if there is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from mixserve.api.pool import LLMServingPool
from mixserve.api.problems import problems
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.api.scalars import format_duration
from mixserve_devcluster.errors import DevClusterError

_Object = Mapping[str, Any]
_Kind = TypeVar("_Kind", LLMServingPool, RoutingPolicy)


class ManifestError(DevClusterError):
    """The manifests can't be used; the message says why."""


@dataclass(frozen=True)
class Manifests:
    """What is applied.

    Attributes:
        path: where it was read.
        objects: all of it, the pools with a short stabilization window.
        pools: one or more.
        policy: None: there is one pool, which is asked without a gateway.
    """

    path: Path
    objects: tuple[_Object, ...]
    pools: tuple[LLMServingPool, ...]
    policy: RoutingPolicy | None

    @property
    def model(self) -> str:
        """The model name that clients send."""
        return (self.policy or self.pools[0]).served_names[0]


def read(path: Path, *, stabilization: timedelta) -> Manifests:
    """Read a file, or all of a directory, and check what is in there.

    Args:
        path: of YAML with one pool, or with several and a RoutingPolicy.
        stabilization: replaces the pools' own, so that they shrink while somebody watches.

    Raises:
        ManifestError: there is no pool, no policy for several of them, or a field is wrong.
    """
    objects = [with_stabilization(one, stabilization) for one in _documents(path)]
    pools = tuple(_parsed(LLMServingPool, one, path) for one in objects if one.get("kind") == "LLMServingPool")
    policies = [_parsed(RoutingPolicy, one, path) for one in objects if one.get("kind") == "RoutingPolicy"]
    if not pools:
        raise ManifestError(f"{path} holds no LLMServingPool")
    if len(policies) != 1 and (policies or len(pools) > 1):
        raise ManifestError(f"{path} holds {len(pools)} LLMServingPools and {len(policies)} RoutingPolicies, not one")
    return Manifests(path, tuple(objects), pools, policies[0] if policies else None)


def _documents(path: Path) -> list[dict[str, Any]]:
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    try:
        found = [one for file in files for one in yaml.safe_load_all(file.read_text(encoding="utf-8")) if one]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ManifestError(f"{path} can't be read as YAML: {error}") from error
    if not all(isinstance(one, dict) for one in found):
        raise ManifestError(f"{path} holds something that is no Kubernetes object")
    return found


def _parsed(kind: type[_Kind], value: _Object, path: Path) -> _Kind:
    try:
        return kind.parse(value)
    except ValidationError as error:
        raise ManifestError(f"{path} has no good {kind.__name__}: {'; '.join(map(str, problems(error)))}") from error


def with_stabilization(manifest: dict[str, Any], stabilization: timedelta) -> dict[str, Any]:
    """A pool with this window in place of its own; other objects, and pools that are no good, as they are."""
    spec = manifest.get("spec")
    if manifest.get("kind") != "LLMServingPool" or not isinstance(spec, dict):
        return manifest
    autoscaling = spec.get("autoscaling") or {}
    scale_down = {**(autoscaling.get("scaleDown") or {}), "stabilization": format_duration(stabilization)}
    return {**manifest, "spec": {**spec, "autoscaling": {**autoscaling, "scaleDown": scale_down}}}
