"""What keeps pods from becoming ready, as a reason and a sentence with field path, cause and remedy.

Texts name variants, not pods, and no numbers that change by themselves: a crash loop then writes the status once.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mixserve.api.names import ENGINE_CONTAINER, LABEL_POOL, LABEL_VARIANT, Reason
from mixserve.api.observation import PodProblem, Trouble
from mixserve.engines.protocol import StartupAdvice
from mixserve.status.endings import ending_of

Advise = Callable[[str], StartupAdvice | None]
"""`EngineAdapter.advise` of the pool's engine."""

_SECRET_MISSING = re.compile(r'secret "(?P<name>[^"]+)" not found')
"""The kubelet's words for a Secret that does not exist."""
_KEY_MISSING = re.compile(r"couldn't find key (?P<key>\S+) in Secret (?:[^/\s]+/)?(?P<name>\S+)")
"""The kubelet's words for a key that a Secret does not have."""
_CLAIM_MISSING = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')
"""The scheduler's words for a claim that does not exist."""
_CLAIM_UNBOUND = re.compile(r"unbound immediate PersistentVolumeClaims")
"""The scheduler's words for a claim that has no volume."""
_PREEMPTION = re.compile(r"\s*(?:no new claims to deallocate, )?preemption: .*", re.DOTALL)
"""What the scheduler adds about pods that it did not push aside: it says nothing about the pool."""
_TOO_LITTLE = re.compile(r"Insufficient (?:cpu|memory)\b")
"""The scheduler's words for nodes whose CPU or memory is asked for by others."""
_NODE_COUNTS = re.compile(r"^\d+/\d+ nodes are available:\s*|(?<![\w.-])\d+ (?=Insufficient|node\(s\)|[Tt]oo many)")
"""How many nodes the scheduler saw: numbers that change as nodes come and go."""
_PULL_ERROR = re.compile(r"^container \S+: (?:ImagePullBackOff: .*?)?ErrImagePull: (?P<cause>.+)", re.DOTALL)
"""The kubelet goes back and forth between trying (ErrImagePull) and waiting (ImagePullBackOff), for the same cause."""
_EXCEPTION = re.compile(r"\b((?:\w+\.)*\w+(?:Error|Exception|Interrupt|Exit)\b.*)")
"""The line of a traceback that names the exception, wherever a logger's prefix ends."""

_STOPPED = re.compile(r"exit code (?:0|137|143)\b(?!.*OOMKilled)")
"""How an engine ends that the kubelet stops because it is not ready in time."""

_CREDENTIAL = re.compile(r"\b(?:hf_|sk-)[A-Za-z0-9_-]{6,}|(?<=://)[^/\s@]+(?=@)")
"""Hugging Face and OpenAI tokens, and user and password in a URL: an exception may quote what it was called with."""

_REFUSED_POD = re.compile(r'^pods "[^"]*" is forbidden: ')
"""How the API server begins; the pod's name is another one each time."""

LONGEST_EXCEPTION = 200
"""Characters of an unknown exception that fit beside the rest of a message."""


@dataclass(frozen=True)
class Explained:
    """A trouble for people; `reason` is one of the reasons of WorkloadReady."""

    reason: Reason
    text: str


def explain(trouble: Trouble, *, pool: str, variant: str, index: int, advise: Advise) -> Explained:
    """What a pod's trouble means and what to do.

    Args:
        trouble: what was seen.
        pool: name of the pool.
        variant: name of the variant, and `index` its place in spec.variants.
        index: see `variant`.
        advise: what the engine knows about its own start-up errors.
    """
    match trouble.problem:
        case PodProblem.UNSCHEDULABLE:
            return _explain_unschedulable(trouble.message, variant=variant, index=index)
        case PodProblem.IMAGE_UNAVAILABLE:
            return Explained(
                Reason.IMAGE_UNAVAILABLE,
                f"spec.engine.image: the image of {variant} can't be pulled: {_pull_error(trouble.message)}; "
                "correct spec.engine.version or spec.engine.image, or let the nodes reach the registry",
            )
        case PodProblem.CONFIG_ERROR:
            return _explain_config_error(trouble.message, variant=variant)
        case PodProblem.CHAT_TEMPLATE_MISSING:
            return Explained(
                Reason.CONFIG_MAP_NOT_FOUND,
                f"spec.engine.chatTemplate: {trouble.message}; create it, or correct name and key, and the pods start "
                "by themselves",
            )
        case PodProblem.ENDED:
            return _explain_end(trouble, pool=pool, variant=variant, index=index)
        case _:
            return _explain_crash(trouble, pool=pool, variant=variant, advise=advise)


def explain_refusal(refused: str, *, variant: str, index: int) -> Explained:
    """What it means that Kubernetes makes no pods, and what to do.

    Args:
        refused: Kubernetes' own words.
        variant: name of the variant.
        index: its place in spec.variants.
    """
    return Explained(
        Reason.PODS_REFUSED,
        f"spec.variants[{index}]: Kubernetes makes no pods for {variant}: {_plain(_REFUSED_POD.sub('', refused))}; "
        "change what the message names in this namespace (quota, Pod Security, admission policy), or lower replicas",
    )


def _explain_unschedulable(message: str, *, variant: str, index: int) -> Explained:
    source = "spec.model.source, the variant's source, that of an adapter or spec.engine.cache"
    if missing := _CLAIM_MISSING.search(message):
        return Explained(
            Reason.VOLUME_CLAIM_NOT_FOUND,
            f"{source}: there is no PersistentVolumeClaim {missing['name']} in this namespace; "
            "create it, and the pods start by themselves",
        )
    if _CLAIM_UNBOUND.search(message):
        return Explained(
            Reason.UNSCHEDULABLE,
            f"{source}: the PersistentVolumeClaim of {variant} has no volume yet; "
            "kubectl describe pvc says what it waits for",
        )
    resources = ", resources" if _TOO_LITTLE.search(message) else ""
    return Explained(
        Reason.UNSCHEDULABLE,
        f"spec.variants[{index}]: no node takes a replica of {variant}: {_scheduler_words(message)}; "
        f"add nodes of this accelerator, free some, or lower replicas.max{resources} or tensorParallel",
    )


def _scheduler_words(message: str) -> str:
    """Why no node fits, each reason once and without the nodes' number."""
    words = _plain(_NODE_COUNTS.sub("", _PREEMPTION.sub("", message)))
    return ", ".join(dict.fromkeys(words.split(", ")))


def _pull_error(message: str) -> str:
    found = _PULL_ERROR.match(message)
    return _plain(found["cause"] if found else message)


def _explain_config_error(message: str, *, variant: str) -> Explained:
    if missing := _SECRET_MISSING.search(message):
        return Explained(
            Reason.SECRET_NOT_FOUND,
            f"spec.model.tokenSecretRef.name: there is no Secret {missing['name']} in this namespace; "
            "create it, and the pods start by themselves",
        )
    if missing := _KEY_MISSING.search(message):
        return Explained(
            Reason.SECRET_NOT_FOUND,
            f"spec.model.tokenSecretRef.key: Secret {missing['name']} has no key {missing['key']}; "
            "add it or correct the key, and the pods start by themselves",
        )
    return Explained(
        Reason.CONTAINER_CONFIG_ERROR,
        f"spec.engine: the container of {variant} can't be created: {_plain(message)}; correct what the message names",
    )


def _explain_crash(trouble: Trouble, *, pool: str, variant: str, advise: Advise) -> Explained:
    advice = advise(trouble.log_tail)
    if advice is not None:
        return Explained(
            Reason.ENGINE_START_FAILED,
            f"spec.engine: the engine of {variant} does not start: {_plain(advice.cause)}; {_plain(advice.remedy)}",
        )
    stopped = (
        "" if not _STOPPED.search(trouble.message) else ("if it was still loading, raise spec.engine.startupTimeout; ")
    )
    return Explained(
        Reason.ENGINE_START_FAILED,
        f"spec.engine: the engine of {variant} does not start: {_last_words(trouble)}; {stopped}"
        f"{_where_to_read(pool, variant)}",
    )


def _explain_end(trouble: Trouble, *, pool: str, variant: str, index: int) -> Explained:
    """Its start went well, so what the engine knows about errors of its start says nothing here."""
    ending = ending_of(trouble.message)
    cause = _last_words(trouble) if ending is None else ending.cause
    remedy = "" if ending is None else f"{ending.remedy.format(variant=f'spec.variants[{index}]')}; "
    return Explained(
        Reason.ENGINE_ENDED,
        f"spec.engine: the engine of {variant} ended while it served, and is started again: {cause}; {remedy}"
        f"{_where_to_read(pool, variant)}; what happened to the pod: kubectl describe pods --show-events "
        f"-l {_selector(pool, variant)}",
    )


def _last_words(trouble: Trouble) -> str:
    """The last exception of the log, or how the container ended."""
    exceptions = [found[1] for line in trouble.log_tail.splitlines() if (found := _EXCEPTION.search(line))]
    return _plain(_CREDENTIAL.sub("***", exceptions[-1])[:LONGEST_EXCEPTION] if exceptions else trouble.message)


def _where_to_read(pool: str, variant: str) -> str:
    return f"read its log: kubectl logs -l {_selector(pool, variant)} -c {ENGINE_CONTAINER} --previous"


def _selector(pool: str, variant: str) -> str:
    return f"{LABEL_POOL}={pool},{LABEL_VARIANT}={variant}"


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
