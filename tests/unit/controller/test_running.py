from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixserve.controller.running import StartError, connect_to

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"a: [", id="no YAML"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"", id="empty"),
        pytest.param(b"current-context: a\nclusters: 5\n", id="a number for a list"),
        pytest.param(b"current-context: a\nclusters: []\nusers: []\ncontexts: []\n", id="no such context"),
    ],
)
async def test_what_is_no_kubeconfig_is_refused_with_what_to_set(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(content)
    with pytest.raises(StartError, match=r"no cluster to connect to: (?s:.*)MIXSERVE_KUBECONFIG") as refused:
        await connect_to(path, connections=1)
    assert refused.value.__cause__ is not None


async def test_a_directory_is_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no cluster to connect to"):
        await connect_to(tmp_path, connections=1)
