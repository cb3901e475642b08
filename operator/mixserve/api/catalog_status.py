"""The status of the catalogue's kinds: who uses an entry, and what the cluster has of a kind of GPU."""

from typing import Annotated

from mixserve.api.base import StrictModel
from mixserve.api.lists import ListMap, ListSet
from mixserve.api.pool_status import Condition

MOST_POOLS_LISTED = 20
"""Names in `usedBy`: enough to look at, and a bound on the size of an object that everybody may use."""


class QuantizationFormatStatus(StrictModel):
    """Who uses the format."""

    observed_generation: int | None = None
    """The generation of the spec that this status belongs to."""
    pools: int | None = None
    """Pools that name the format, in a variant's quantization or in engine.kvCache.format."""
    used_by: Annotated[tuple[str, ...], ListSet()] = ()
    """The first 20 of these pools by name, each as namespace/name."""


class AcceleratorClassStatus(StrictModel):
    """What the cluster has of the GPU, and who uses it."""

    observed_generation: int | None = None
    """The generation of the spec that this status belongs to."""
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()
    """NodesFound: whether there are nodes with such GPUs."""
    nodes: int | None = None
    """Nodes whose labels satisfy nodeRequirements. Unset: the operator may not look."""
    ready_nodes: int | None = None
    """Those of them that take new pods: they are Ready, and not cordoned."""
    gpus: int | None = None
    """GPUs that these nodes offer to pods (allocatable), whether free or not."""
    free_gpus: int | None = None
    """GPUs of the nodes that take new pods less what pods on them have asked for, whoever they belong to. A replica
    needs all of its GPUs on one node, and tolerations for the node's taints. Unset: the operator may not look."""
    pools: int | None = None
    """Pools with a variant on the GPU."""
    used_by: Annotated[tuple[str, ...], ListSet()] = ()
    """The first 20 of these pools by name, each as namespace/name."""
