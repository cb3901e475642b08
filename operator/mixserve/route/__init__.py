"""Pure decisions about requests: what a request is, how hard its prompt is, where it goes.

Here belong the reading of request bodies (`request`), classifiers (`complexity/`), the choice of a tier and of an
endpoint within a pool. Here must not be I/O, a clock, Envoy's resources (see `plan/envoy/`) or the process that asks
(see `gateway/`). Nothing here raises on what a client sent: what cannot be used is a value that says why.
"""
