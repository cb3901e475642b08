"""The kinds as pydantic models, and the vocabulary that the rooms above share.

Here belong: the custom resources (the one source of `crds/`, the chart's CRDs and `docs/reference/`), names and
labels, condition types and reasons, and the frozen values that decisions are made from. Here must not be: decisions,
I/O, clocks, or knowledge of one engine.
"""
