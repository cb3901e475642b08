"""Names, ports and paths of gateways: what the pod's objects, its processes and Envoy's configuration agree upon."""

GATEWAY = "mixserve-gateway"
"""Name of all objects of a namespace's gateway."""

ENVOY_CONTAINER = "envoy"
GATEWAY_CONTAINER = "gateway"

SHARED_DIRECTORY = "/run/mixserve"
"""What both containers write and read: Envoy's configuration, sockets, the access log. Also where they run, so that
Envoy's configuration may name files relative to it."""
BOOTSTRAP_FILE = "bootstrap.json"
"""In there: what Envoy is started with, written by an init container."""
MODULE_FILE = "libmixserve.so"
"""In there: what Envoy loads of Mixserve's own, put there by the same container."""
REQUEST_LOG_FILE = "requests.log"
"""In there: what Envoy writes of each request, and the accounting reads."""
TLS_DIRECTORY = "/etc/mixserve/tls"
"""Where tls.crt and tls.key are."""

HTTP_PORT = 8080
"""Of Envoy, for clients."""
HTTPS_PORT = 8443
"""The same with TLS, where there is a certificate."""
READY_PORT = 8081
"""Of Envoy: READY_PATH answers 200 while it takes requests, 503 while it drains."""
READY_PATH = "/ready"
WEB_PORT = 9090
"""Of the process in Python: /healthz and /metrics."""

DRAIN_S = 600
"""How long a gateway that is to end waits for the requests that it carries: the longest answers of large models take
minutes."""

REQUESTS_METRIC = "mixserve_gateway_requests_total"
"""Counter of a gateway with the labels policy, tier, pool and code (the HTTP status)."""
