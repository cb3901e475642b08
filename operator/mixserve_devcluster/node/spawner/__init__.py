"""A small process that starts and reaps the pods' processes for the local node.

A process of its own, because it forks: it has one thread and few pages, so that a child may still do some
work (mounts) between fork and exec. It outlives the node for a moment, to kill whatever the node leaves behind.

Here belong: fork, namespaces, mounts, signals, and the client that the node speaks to it with. Here does not
belong: what a pod is. `server` and what it imports use the standard library alone.
"""
