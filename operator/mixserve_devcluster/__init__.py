"""A Kubernetes cluster of local processes, for development, tests and the demo.

Here belong: where its binaries come from, its certificates, the control plane (etcd, kube-apiserver,
kube-controller-manager, kube-scheduler), the local node that runs pods as processes, and the simulated engine
server that pods run where there is no GPU.

Here does not belong: anything that the operator needs in a real cluster. The product must not import this
package (`mixserve dev` alone does), and nothing here may know what the operator decides: to it, Mixserve's
objects are like anybody's.
"""
