"""The kopf handlers, the queue, the reconcile loop, settings, and their wiring.

Here belongs the order of the steps. Here must not be formulas (see the pure rooms) or details of HTTP (see `observe`
and `apply`).
"""
