"""What Helm makes of Mixserve's chart."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mixserve_devcluster import binaries
from mixserve_devcluster.errors import InstallError

if TYPE_CHECKING:
    from collections.abc import Mapping

# In a checkout, from which alone the embedded cluster is used; a wheel has no chart.
CHART = Path(__file__).parents[2] / "charts" / "mixserve"
RELEASE = "mixserve"
# Helm renders offline and at once; a guard against a plugin that hangs.
_TIMEOUT_S = 60


def render(values: Mapping[str, Any], *, namespace: str) -> list[dict[str, Any]]:
    """Return the objects of the chart, CRDs first, as `helm install` would create them.

    Raises:
        InstallError: there is no chart, or Helm refuses the values; says what Helm says.
        BuildError: there is no Helm, and none can be built.
    """
    if not CHART.is_dir():
        raise InstallError(f"there is no chart at {CHART}: run this from a checkout of Mixserve")
    done = subprocess.run(
        [binaries.find("helm"), "template", RELEASE, CHART, "--namespace", namespace, "--include-crds", "--values=-"],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
    if done.returncode != 0:
        raise InstallError(f"the chart cannot be rendered: {done.stderr.strip()}")
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
