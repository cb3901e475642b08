"""What is in manifests: pools, pairs, policies, entries of the catalogue, and what can't be read of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from mixserve.api.accelerator import AcceleratorClass
from mixserve.api.names import GROUP, Reason
from mixserve.api.pool import LLMServingPool
from mixserve.api.quantization import QuantizationFormat
from mixserve.api.routing_policy import RoutingPolicy
from mixserve.api.speculative_pair import SpeculativePair
from mixserve.catalog.built_in import Catalog, built_in_catalog
from mixserve.cli.manifest_files import MOST_BYTES
from mixserve.cli.output import printable
from mixserve.cli.yaml_documents import YamlError, documents
from mixserve.validate.policy_checks import judge_policy
from mixserve.validate.unreadable import against_schema
from mixserve.validate.violation import Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mixserve.cli.manifest_files import ManifestFile
    from mixserve.validate.policy_checks import PolicyFindings

_Kind = LLMServingPool | SpeculativePair | RoutingPolicy | QuantizationFormat | AcceleratorClass

_Entry = TypeVar("_Entry", QuantizationFormat, AcceleratorClass)

_MODELS: Mapping[str, type[_Kind]] = {
    model.__name__: model
    for model in (LLMServingPool, SpeculativePair, RoutingPolicy, QuantizationFormat, AcceleratorClass)
}
_POOL = LLMServingPool.__name__
_NAMESPACED = frozenset({_POOL, SpeculativePair.__name__, RoutingPolicy.__name__})


@dataclass(frozen=True)
class Place:
    """Where a manifest is.

    Attributes:
        file: the file's name.
        document: its place in there, from 1; 0 for the whole file.
    """

    file: str
    document: int

    def __str__(self) -> str:
        return f"{self.file}, document {self.document}" if self.document else self.file


@dataclass(frozen=True)
class Named:
    """A manifest by what it says that it is; empty texts where it does not say."""

    place: Place
    kind: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        if not self.namespace:
            return f"{self.kind} {self.name}".strip()
        return f"{self.kind} {self.namespace}/{self.name or '(no name)'}"


@dataclass(frozen=True)
class Refused:
    """A manifest or file that is not read, and everything that is wrong with it."""

    what: Named
    violations: tuple[Violation, ...]

    @property
    def is_pool(self) -> bool:
        """Whether it would be a pool."""
        return self.what.kind == _POOL


@dataclass
class Manifests:
    """Everything that was read.

    Attributes:
        pools: by place in the order of the files.
        refused: what can't be read.
        ignored: for each file, how many objects of which other kinds it has.
        formats: of the files, by name.
        accelerators: of the files, by name.
        pairs: of the files, by namespace and name.
        policies: by place in the order of the files.
    """

    pools: list[tuple[Named, LLMServingPool]] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    ignored: dict[str, Counter[str]] = field(default_factory=dict)
    formats: dict[str, QuantizationFormat] = field(default_factory=dict)
    accelerators: dict[str, AcceleratorClass] = field(default_factory=dict)
    pairs: dict[str, dict[str, SpeculativePair]] = field(default_factory=dict)
    policies: list[tuple[Named, RoutingPolicy]] = field(default_factory=list)

    def catalog(self, base: Catalog | None = None) -> Catalog:
        """The built-in catalogue, or that of a cluster, and what the files have instead or on top.

        An entry that they have and that can't be read is in none: what it was before would be another one's numbers.
        """
        base = built_in_catalog() if base is None else base
        return Catalog(
            formats=self._without_refused(base.formats) | self.formats,
            accelerators=self._without_refused(base.accelerators) | self.accelerators,
        )

    def _without_refused(self, entries: Mapping[str, _Entry]) -> dict[str, _Entry]:
        refused = {(one.what.kind, one.what.name) for one in self.refused}
        return {name: entry for name, entry in entries.items() if (type(entry).__name__, name) not in refused}

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing of Mixserve at all."""
        known = (self.pools, self.refused, self.formats, self.accelerators, self.pairs, self.policies)
        return not any(known)

    def pairs_for(self, pool: LLMServingPool, base: Mapping[str, SpeculativePair]) -> dict[str, SpeculativePair]:
        """The SpeculativePairs that a pool may name: those of its namespace.

        Args:
            pool: the pool.
            base: those of a cluster, of the same namespace; the files may have others instead or on top.
        """
        if pool.spec.speculative_pair_ref is None:
            return {}
        return {**base, **self.pairs.get(pool.metadata.namespace, {})}


def read_manifests(files: Iterable[ManifestFile], *, namespace: str) -> Manifests:
    """Read all files; pools, pairs and policies without a namespace are in `namespace`."""
    found = Manifests()
    seen: dict[tuple[str, str, str], Place] = {}
    for file in files:
        for place, content in _documents(file, found):
            _read(place, content, namespace=namespace, seen=seen, found=found)
    return found


def wrong_policies(found: Manifests) -> list[Refused]:
    """Policies in which something is wrong, beside the pools and policies of the files.

    That a pool is not among them is nothing: it may be in the cluster.
    """
    judged = [(what, _findings(policy, found)) for what, policy in found.policies]
    return [Refused(what, findings.violations) for what, findings in judged if findings.violations]


def _findings(policy: RoutingPolicy, found: Manifests) -> PolicyFindings:
    namespace = policy.metadata.namespace
    return judge_policy(
        policy,
        pools=[pool for _, pool in found.pools if pool.metadata.namespace == namespace],
        policies=[other for _, other in found.policies if other.metadata.namespace == namespace],
    )


def _documents(file: ManifestFile, found: Manifests) -> Iterator[tuple[Place, Any]]:
    whole = Place(file.name, 0)
    if file.content is None:
        remedy = "split it, or name the files with the pools only"
        found.refused.append(_refused(Named(whole), "", f"it has more than {MOST_BYTES // 2**20} MiB", remedy))
        return
    try:
        values = documents(file.content)
    except YamlError as error:
        found.refused.append(_refused(Named(whole), "", f"it is not YAML: {error}", "correct it"))
        return
    for number, value in enumerate(values, start=1):
        yield from ((Place(file.name, number), one) for one in _flattened(value))


def _flattened(value: Any) -> list[Any]:
    """The items of a list as `kubectl get -o yaml` prints it; nothing for an empty document."""
    if value is None:
        return []
    if (
        isinstance(value, Mapping)
        and str(value.get("kind", "")).endswith("List")
        and isinstance(value.get("items"), list)
    ):
        return list(value["items"])
    return [value]


def _read(
    place: Place,
    content: Any,
    *,
    namespace: str,
    seen: dict[tuple[str, str, str], Place],
    found: Manifests,
) -> None:
    if not isinstance(content, Mapping):
        found.refused.append(_refused(Named(place), "", "it is no object", "write apiVersion, kind, metadata and spec"))
        return
    what = _named(place, content, namespace=namespace)
    if not str(content.get("apiVersion", "")).startswith(f"{GROUP}/") and what.kind not in _MODELS:
        found.ignored.setdefault(place.file, Counter())[what.kind or "no kind"] += 1
        return
    first = seen.setdefault((what.kind, what.namespace, what.name), place)
    if what.name and first is not place:
        found.refused.append(_refused(what, "metadata.name", f"it is in {first} as well", "keep one of the two"))
        return
    _take(what, content, found)


def _named(place: Place, content: Mapping[Any, Any], *, namespace: str) -> Named:
    metadata = content.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    kind, name, own = (
        printable(str(value or "")) for value in (content.get("kind"), metadata.get("name"), metadata.get("namespace"))
    )
    return Named(place, kind=kind, name=name, namespace=(own or namespace) if kind in _NAMESPACED else "")


def _take(what: Named, content: Mapping[str, Any], found: Manifests) -> None:
    model = _MODELS.get(what.kind)
    if model is None:
        found.refused.append(_refused(what, "kind", "there is no such kind", f"choose one of {', '.join(_MODELS)}"))
        return
    try:
        parsed = model.parse(_in_namespace(content, what.namespace))
    except ValidationError as error:
        found.refused.append(Refused(what, against_schema(error, what.kind)))
    except (TypeError, ValueError) as error:  # a date as a key, an integer of thousands of digits
        found.refused.append(_refused(what, "", f"it can't be written as JSON: {error}", "correct it"))
    else:
        _keep(what, parsed, found)


def _in_namespace(content: Mapping[str, Any], namespace: str) -> Mapping[str, Any]:
    """The manifest, with the namespace that it does not name itself, and without what is not the user's to write."""
    metadata = content.get("metadata")
    kept = {key: value for key, value in content.items() if key != "status"}
    return {**kept, "metadata": {**metadata, "namespace": namespace}} if isinstance(metadata, Mapping) else kept


def _keep(what: Named, parsed: _Kind, found: Manifests) -> None:
    match parsed:
        case LLMServingPool():
            found.pools.append((what, parsed))
        case SpeculativePair():
            found.pairs.setdefault(what.namespace, {})[what.name] = parsed
        case RoutingPolicy():
            found.policies.append((what, parsed))
        case QuantizationFormat():
            found.formats[what.name] = parsed
        case AcceleratorClass():
            found.accelerators[what.name] = parsed


def _refused(what: Named, field_path: str, cause: str, remedy: str) -> Refused:
    return Refused(what, (Violation(Reason.INVALID_SPEC, field_path, cause, remedy),))
