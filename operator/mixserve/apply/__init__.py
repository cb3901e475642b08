"""I/O out: server-side apply, replicas through /scale, labels of draining pods, status, events.

Here belong writes and their errors. Here must not be decisions: a caller says what to write.
"""
