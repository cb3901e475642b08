"""The resources of the API server that Mixserve reads and writes: literal, so that no discovery is needed."""

from dataclasses import dataclass

from mixserve.api.names import API_VERSION


@dataclass(frozen=True)
class Resource:
    """One resource, as its URL and its objects name it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, *, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL's path of a collection, of an object or of a part of one."""
        prefix = f"/apis/{self.api_version}" if self.group else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{prefix}{scope}/{self.plural}{tail}"


POOLS = Resource(API_VERSION, "LLMServingPool", "llmservingpools")
FORMATS = Resource(API_VERSION, "QuantizationFormat", "quantizationformats", namespaced=False)
ACCELERATORS = Resource(API_VERSION, "AcceleratorClass", "acceleratorclasses", namespaced=False)
PAIRS = Resource(API_VERSION, "SpeculativePair", "speculativepairs")
POLICIES = Resource(API_VERSION, "RoutingPolicy", "routingpolicies")
PODS = Resource("v1", "Pod", "pods")
NODES = Resource("v1", "Node", "nodes", namespaced=False)
EVENTS = Resource("events.k8s.io/v1", "Event", "events")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")

SECRETS = Resource("v1", "Secret", "secrets")
WEBHOOK_CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)

SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
SERVICES = Resource("v1", "Service", "services")
DISRUPTION_BUDGETS = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")

ROLES = Resource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")

JOBS = Resource("batch/v1", "Job", "jobs")
VOLUME_CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")

OWNED = (SERVICE_ACCOUNTS, CONFIG_MAPS, DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS)
"""What a pool consists of, in the order in which it is made."""

OWNED_BY_KIND = {resource.kind: resource for resource in OWNED}

GATEWAY_ONLY = (ROLES, ROLE_BINDINGS)
"""What only gateways consist of."""

WRITTEN_BY_KIND = {resource.kind: resource for resource in (*OWNED, *GATEWAY_ONLY)}
"""Everything that the operator applies: what pools consist of, and gateways."""
