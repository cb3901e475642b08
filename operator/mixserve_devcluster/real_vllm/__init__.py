"""A real vLLM for machines without a GPU: vLLM 0.32.0 built for CPUs, with a tiny model that has no weights.

Here belong: its installation into the user's cache, the model, and the program that stands for the `vllm` of the
image. Here does not belong: anything that the operator knows of vLLM (`mixserve.engines`). Nothing here imports vLLM:
it lives in an environment of its own, next to which this one stays small.
"""
