"""Where the cluster's binaries are."""
from __future__ import annotations

import os
from pathlib import Path


def find(name: str) -> Path:
    return Path(os.environ["KUBEBUILDER_ASSETS"]) / name
