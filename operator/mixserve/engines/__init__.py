"""One file per engine behind one protocol: flags, probes, ports, metric names, versions, start-up errors.

Here belongs everything that is true of one engine. Here must not be: Kubernetes objects (see `plan/`), decisions,
I/O. `registry.ADAPTERS` maps every `EngineType` to its adapter; a contract test asserts that it is complete.
"""
