"""`python -m mixserve_devcluster.real_vllm install`: get vLLM for CPUs into the user's cache and print where it is."""

from __future__ import annotations

import argparse
import sys

from mixserve_devcluster.errors import DevClusterError
from mixserve_devcluster.real_vllm import installation


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mixserve_devcluster.real_vllm", description=__doc__)
    parser.add_argument("command", choices=["install"], help="install vLLM unless it is installed")
    parser.parse_args()
    try:
        print(installation.install().directory)  # noqa: T201 - the answer of a command line
    except DevClusterError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
