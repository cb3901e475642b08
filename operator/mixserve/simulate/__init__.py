"""The physics of an inference engine, pure: memory, step times, the KV cache, continuous batching.

Here belongs what a GPU and an engine do with requests over simulated time; the simulated engine server serves it
over HTTP, and simulations of whole pools are built on it. Here must not be: a clock (`now_s` is an argument), random
numbers (answer lengths are inputs), HTTP, or decisions of the operator. Everything in here is a model of an engine,
never a measurement, and whoever shows its numbers says "simulated".
"""
