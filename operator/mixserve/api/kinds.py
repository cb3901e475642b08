"""Every kind with what its CustomResourceDefinition says besides the schema."""

from dataclasses import dataclass

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.base import StrictModel
from mixserve.api.pool import LLMServingPool
from mixserve.api.quantization import QuantizationFormat
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.api.speculative_pair import SpeculativePair


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`; `type` is string, integer or date, `wide` ones are shown with -o wide only."""

    name: str
    path: str
    description: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True)
class Kind:
    """A kind of the API group."""

    model: type[StrictModel]
    plural: str
    short_name: str
    namespaced: bool
    has_status: bool
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """The kind's name, such as LLMServingPool."""
        return self.model.__name__

    @property
    def singular(self) -> str:
        """The name in lower case."""
        return self.name.lower()


_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was created.", type="date")


def _from(engine: str) -> str:
    # kubectl shows only the first of several values, so each engine has a column.
    return f'.spec.engines[?(@.type=="{engine}")].minimumComputeCapability'


KINDS = (
    Kind(
        model=LLMServingPool,
        plural="llmservingpools",
        short_name="lsp",
        namespaced=True,
        has_status=True,
        columns=(
            Column("Desired", ".status.desired", "Replicas wanted, over all variants.", type="integer"),
            Column("Ready", ".status.ready", "Replicas ready, over all variants.", type="integer"),
            Column("Starting", ".status.starting", "Replicas that exist and are not ready yet.", type="integer"),
            Column("Limited-By", ".status.limitedBy", "What the size depends on, or what blocks."),
            Column("Last-Scale", ".status.lastScale", "Time since replicas were last written.", type="date"),
            Column("Healthy", '.status.conditions[?(@.type=="Ready")].status', "The condition Ready."),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "The reason of the condition Ready."),
            Column("Model", ".spec.model.source", "Where the model's files are.", wide=True),
            Column("Engine", ".spec.engine.type", "The inference engine.", wide=True),
            Column("USD/h", ".status.costPerHour", "On-demand price of the wanted replicas.", wide=True),
            _AGE,
        ),
    ),
    Kind(
        model=QuantizationFormat,
        plural="quantizationformats",
        short_name="qf",
        namespaced=False,
        has_status=True,
        columns=(
            Column("Target", ".spec.target", "What is stored so: weights or the KV cache."),
            Column("Bits", ".spec.bits", "Effective bits of one quantized weight, key or value."),
            Column("Compute-Bits", ".spec.computeBits", "Bits of the arithmetic where it is native.", type="integer"),
            Column("vLLM", _from("vllm"), "Oldest compute capability that vLLM runs it on; none where it does not."),
            Column("TensorRT-LLM", _from("tensorrt-llm"), "The same for TensorRT-LLM."),
            Column("Pools", ".status.pools", "Pools that use it.", type="integer"),
            _AGE,
        ),
    ),
    Kind(
        model=AcceleratorClass,
        plural="acceleratorclasses",
        short_name="ac",
        namespaced=False,
        has_status=True,
        columns=(
            Column("Memory", ".spec.memory", "Memory of one GPU."),
            Column("Capability", ".spec.computeCapability", "NVIDIA compute capability."),
            Column("USD/h", ".spec.pricePerHour", "Price of one GPU."),
            Column("Nodes", ".status.nodes", "Nodes that have it.", type="integer"),
            Column("GPUs", ".status.gpus", "GPUs that these nodes offer.", type="integer"),
            Column("Free", ".status.freeGpus", "GPUs that no pod holds, on nodes that take pods.", type="integer"),
            Column("Pools", ".status.pools", "Pools that use it.", type="integer"),
            Column("Nodes-Found", '.status.conditions[?(@.type=="NodesFound")].reason', "Why, or why not.", wide=True),
            _AGE,
        ),
    ),
    Kind(
        model=SpeculativePair,
        plural="speculativepairs",
        short_name="spair",
        namespaced=True,
        has_status=True,
        columns=(
            Column("Method", ".spec.method", "Where proposed tokens come from."),
            Column("Tokens", ".spec.tokens", "Tokens proposed per request and step.", type="integer"),
            Column("Pools", ".status.pools[*].name", "The pools that name it."),
            Column("Tokenizers-Match", ".status.pools[*].tokenizersMatch", "By pool, whether model and draft agree."),
            Column("Accepted-Length", ".status.pools[*].acceptedLength", "By pool, tokens that a step gave."),
            Column("Speed-Up", ".status.pools[*].expectedSpeedUp", "By pool, what is expected of it."),
            Column("Draft", ".spec.draft.source", "Where the draft's files are.", wide=True),
            _AGE,
        ),
    ),
    Kind(
        model=RoutingPolicy,
        plural="routingpolicies",
        short_name="rp",
        namespaced=True,
        has_status=True,
        columns=(
            Column("Classifier", ".spec.classifier.type", "What says how hard a request is."),
            Column("Targets", ".status.targets", "Pools that take requests, of all that the policy names."),
            Column("Healthy", '.status.conditions[?(@.type=="Ready")].status', "The condition Ready."),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "The reason of the condition Ready."),
            Column("Address", ".status.gateway.address", "Where clients send requests, inside the cluster."),
            Column("Gateways", ".status.gateway.readyReplicas", "Ready replicas of the gateway.", "integer", wide=True),
            _AGE,
        ),
    ),
)
"""All of them; what is generated from the models, is generated from these."""
