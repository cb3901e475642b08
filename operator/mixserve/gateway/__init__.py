"""The gateway's process beside Envoy: what it tells Envoy, and what it answers when Envoy asks.

Belongs here: I/O between the two (files, the Unix socket, the request log), watches and scrapes of the namespace. Does
not belong here: decisions (`route`), and the shape of Envoy's configuration (`plan/envoy`). No chunk of an answer comes
through this process.
"""
