"""How the engine of a variant is started."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mixserve.engines.protocol import Launch, LaunchedPair
from mixserve.engines.registry import adapter_for
from mixserve.plan.kv_cache import kv_cache_row
from mixserve.plan.paths import CACHE_PATH

if TYPE_CHECKING:
    from mixserve.api.pool import LLMServingPool, Variant
    from mixserve.plan.memory import MemoryPlan
    from mixserve.plan.model_source import ModelFiles, PodFiles
    from mixserve.plan.placement import Placement
    from mixserve.plan.speculation import Speculation

OPTIONS_DIRECTORY = "/etc/mixserve"
OPTIONS_FILE = "engine-options.yaml"
"""Key of the ConfigMap, and name of the file in OPTIONS_DIRECTORY."""

CHAT_TEMPLATE_DIRECTORY = "/etc/mixserve-chat-template"
"""Beside OPTIONS_DIRECTORY and not in it: nothing can be mounted into a read-only volume."""
CHAT_TEMPLATE_FILE = "chat-template.jinja"

SHUTDOWN_TIMEOUT_S = 15
"""For requests that arrive between the end of the drain and SIGTERM, and long enough to answer a short one."""


def launch_of(
    pool: LLMServingPool,
    variant: Variant,
    *,
    placement: Placement,
    plan: MemoryPlan | None,
    files: PodFiles,
    speculation: Speculation | None = None,
) -> Launch:
    """Everything that decides how the engine of a variant is started.

    Args:
        pool: a valid pool.
        variant: one of its variants.
        placement: what the variant's names stand for.
        plan: the variant's memory; None where the model's numbers are unknown.
        files: where the variant's checkpoint is, and its draft.
        speculation: what proposes tokens; None without speculative decoding.
    """
    return Launch(
        engine=pool.spec.engine,
        model=files.model.model,
        revision=files.model.revision,
        served_names=pool.served_names,
        quantization=placement.row,
        kv_cache=kv_cache_row(placement.kv_cache, pool.spec.engine.type),
        tensor_parallel=variant.gpus,
        shutdown_timeout_s=SHUTDOWN_TIMEOUT_S,
        cache_path=CACHE_PATH,
        options_path=f"{OPTIONS_DIRECTORY}/{OPTIONS_FILE}",
        occupied_share=None if plan is None else _occupied_share(plan, placement),
        chat_template_path=_chat_template_path(pool),
        peer_to_peer=placement.accelerator.peer_to_peer,
        pair=None if speculation is None else _pair(speculation, files.draft, gpus=variant.gpus),
        task=pool.spec.task,
        adapters=files.adapters.launched,
    )


def _pair(speculation: Speculation, draft: ModelFiles | None, *, gpus: int) -> LaunchedPair:
    said = speculation.spec.draft
    return LaunchedPair(
        spec=speculation.spec,
        draft=None if draft is None else draft.model,
        draft_revision=None if draft is None else draft.revision,
        draft_gpus=gpus if said is None else said.gpus_beside(gpus),
    )


def options_name(deployment: str, content: str) -> str:
    """The name of the ConfigMap with a variant's options: another content is another ConfigMap.

    So a pod that restarts in a rollout, or before it, reads the options that it was started with, and another content
    makes new pods.

    Args:
        deployment: the name of the variant's Deployment.
        content: of the file.
    """
    return f"{deployment}-engine-options-{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def engine_options(launch: Launch) -> str | None:
    """The content of the engine's file of options; None where it reads none."""
    return adapter_for(launch.engine.type).options_file(launch)


def _chat_template_path(pool: LLMServingPool) -> str | None:
    return None if pool.spec.engine.chat_template is None else f"{CHAT_TEMPLATE_DIRECTORY}/{CHAT_TEMPLATE_FILE}"


def _occupied_share(plan: MemoryPlan, placement: Placement) -> float:
    memory = placement.accelerator.memory * placement.tensor_parallel
    return (plan.weights_bytes + plan.draft_bytes + plan.overhead_bytes) / memory
