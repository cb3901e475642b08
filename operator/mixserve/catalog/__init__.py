"""Built-in QuantizationFormat and AcceleratorClass manifests (data), and the one function that reads them.

Here belong plain manifests; the chart installs them and `mixserve plan` reads them offline. Here must not be decisions:
a new format or GPU is a new manifest, never a release.
"""
