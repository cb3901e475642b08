from __future__ import annotations

from mixserve.api.names import API_VERSION
from mixserve.api.pool import LLMServingPool
from mixserve.status.users import Users, accelerators_of, formats_of, users_by_name


def pool(*variants: tuple[str, str], kv: str = "auto") -> LLMServingPool:
    return LLMServingPool.parse(
        {
            "apiVersion": API_VERSION,
            "kind": "LLMServingPool",
            "metadata": {"name": "p", "namespace": "ns"},
            "spec": {
                "model": {"source": "pvc://models/a"},
                "engine": {"kvCache": {"format": kv}},
                "variants": [
                    {"name": f"v{index}", "quantization": quantization, "accelerator": accelerator}
                    for index, (quantization, accelerator) in enumerate(variants)
                ],
            },
        }
    )


def test_a_pool_uses_the_formats_of_its_variants_and_of_its_kv_cache() -> None:
    assert formats_of(pool(("fp8", "l4"), ("bf16", "l4"), kv="fp8")) == {"fp8", "bf16", "kv-fp8"}
    assert formats_of(pool(("fp8", "l4"))) == {"fp8"}


def test_a_pool_uses_the_gpus_of_its_variants() -> None:
    assert accelerators_of(pool(("fp8", "l4"), ("bf16", "l4"), ("bf16", "h100"))) == {"l4", "h100"}


def test_users_are_sorted_whatever_the_order_of_the_pools() -> None:
    assert users_by_name({"b/x": ["fp8"], "a/y": ["fp8", "bf16"]}) == {
        "fp8": Users(("a/y", "b/x")),
        "bf16": Users(("a/y",)),
    }


def test_a_status_names_twenty_and_counts_all() -> None:
    many = users_by_name({f"ns/{number:03}": ["fp8"] for number in range(30)})["fp8"]
    assert (many.count, len(many.listed), many.listed[-1]) == (30, 20, "ns/019")
