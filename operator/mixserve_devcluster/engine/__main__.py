"""`python -m mixserve_devcluster.engine serve MODEL ...`, or `trtllm-serve MODEL ...`."""

import sys

from mixserve_devcluster.engine.lifecycle import main

sys.exit(main())
