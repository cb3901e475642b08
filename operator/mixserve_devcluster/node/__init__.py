"""The local node: a kubelet's work without containers.

Here belong: registering nodes, running the pods bound to them as local processes (or, on hollow nodes, only
saying so), and everything that a pod may expect of its node: environment, volumes, probes, hooks, back-off,
status, logs. A decision without input or output stands in a module of its own (`status`, `environment`, ...).

Here does not belong: the control plane, and whatever knows an engine or the operator. Pods are plain pods.
"""
