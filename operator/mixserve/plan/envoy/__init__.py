"""Envoy's configuration, as values: a routing table becomes routes, clusters and endpoints, in Envoy's JSON form.

Belongs here: everything that Envoy is told. Does not belong here: writing it down and sending it (`gateway`), and the
decisions that Envoy asks for (`route`). How a request goes through it is in docs/gateway.md.
"""
