"""Pure planning: memory fit and desired objects.

Here belongs what follows from spec, catalogue and model facts alone. Here must not be observed state, I/O or a client.
"""
