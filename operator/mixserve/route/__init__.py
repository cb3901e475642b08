"""What becomes of a request: how hard it is, which tier and pool it goes to, which replica. Pure.

Belongs here: reading what matters of a request's body, classifiers, the choice of tier and target, picking an endpoint.
Does not belong here: Envoy's configuration (`plan/envoy`), and anything that talks to somebody (`gateway`).
"""
