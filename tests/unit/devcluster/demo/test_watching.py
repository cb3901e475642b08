import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from mixserve.api.engine import EngineType
from mixserve.engines.registry import adapter_for
from mixserve_devcluster.demo.client import Client, Result
from mixserve_devcluster.demo.watching import Target, WatchedPool, Watcher, WatchError

TARGET = Target("default", (WatchedPool("small", adapter_for(EngineType.VLLM), "0.33.0"),))
GROUP = {"name": "mixserve.dev", "versions": [{"groupVersion": "mixserve.dev/v1alpha1", "version": "v1alpha1"}]}
POOLS = {"name": "llmservingpools", "kind": "LLMServingPool", "namespaced": True, "verbs": ["get"]}


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    # The client keeps what it has discovered in the directory for temporary files, under the server's address.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def write(server):
        content = {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture
async def api_server():
    """One that serves nothing but the discovery of our pools."""
    served = {
        "/version": {"major": "1", "minor": "36"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "resources": []},
        "/apis": {"kind": "APIGroupList", "groups": [{**GROUP, "preferredVersion": GROUP["versions"][0]}]},
        "/apis/mixserve.dev/v1alpha1": {"kind": "APIResourceList", "resources": [POOLS]},
    }

    async def answer(request: web.Request) -> web.Response:
        if request.path in served:
            return web.json_response(served[request.path])
        return web.json_response({"message": "no"}, status=403)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


async def test_an_api_server_that_is_gone_is_an_error_without_a_traceback(kubeconfig):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(WatchError, match="does not give discovery: ClientConnectorError"):
            await Watcher.connect(kubeconfig=kubeconfig("http://127.0.0.1:1"), session=session, target=TARGET)


async def test_a_refusal_is_an_error_in_one_line(kubeconfig, api_server):
    async with aiohttp.ClientSession() as session:
        watcher = await Watcher.connect(kubeconfig=kubeconfig(api_server), session=session, target=TARGET)
        try:
            with pytest.raises(
                WatchError, match=r"^the API server refuses LLMServingPool objects in default: 403 Forbidden$"
            ):
                await watcher.pools()
            with pytest.raises(WatchError, match="does not give Pod objects in default: ResourceNotFoundError"):
                await watcher.not_ready()
        finally:
            await watcher.connection.close()


GATEWAY = {"app": "gateway"}
SERVICE = {
    "metadata": {"name": "mixserve-gateway"},
    "spec": {"selector": GATEWAY, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
}
THROUGH_GATEWAY = Target("default", TARGET.pools, policy="auto")


def conditions(status: str) -> dict[str, list[dict[str, str]]]:
    return {"conditions": [{"type": "Ready", "status": status, "reason": "Why", "message": "because"}]}


def pod(name: str, labels: dict[str, str], ready: str = "True") -> dict[str, object]:
    status = {"podIP": f"127.0.9.{len(name)}", **conditions(ready)}
    return {"metadata": {"name": name, "labels": labels}, "spec": {"containers": []}, "status": status}


def engine(name: str, routable: str = "true", ready: str = "True") -> dict[str, object]:
    return pod(name, {"mixserve.dev/pool": "small", "mixserve.dev/routable": routable}, ready)


def deployment(name: str, replicas: int, **labels: str) -> dict[str, object]:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"replicas": replicas}}


def ours(name: str, ready: str = "True", **status: object) -> dict[str, object]:
    return {"metadata": {"name": name}, "status": {**conditions(ready), **status}}


class Cluster(Watcher):
    """A watcher of objects that are given instead of read."""

    def __init__(self, session: aiohttp.ClientSession, target: Target, **objects: list[dict[str, object]]) -> None:
        super().__init__(api=None, session=session, target=target)
        self._objects = objects

    async def _listed(self, _: str, kind: str) -> list[dict[str, object]]:
        return self._objects.get(kind, [])


COMPLETE = {
    "Pod": [engine("e"), pod("gate", GATEWAY), pod("gateway", GATEWAY)],
    "Deployment": [deployment("mixserve-gateway", 2), deployment("d", 2, **{"mixserve.dev/pool": "small"})],
    "Service": [SERVICE],
    "LLMServingPool": [ours("small", lastDecision={"message": "Hold 1"}), ours("other", "False")],
    "RoutingPolicy": [ours("auto")],
}


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as opened:
        yield opened


async def test_with_pools_policy_and_gateway_ready_there_is_nothing_to_wait_for(session):
    assert await Cluster(session, THROUGH_GATEWAY, **COMPLETE).not_ready() == []


@pytest.mark.parametrize(
    ("lacking", "missing"),
    [
        ({"LLMServingPool": [ours("small", "False")]}, "pool small: Ready: Why: because"),
        ({"LLMServingPool": []}, "pool small: it has no status yet: does the operator run?"),
        ({"RoutingPolicy": [ours("auto", "False")]}, "policy auto: Ready: Why: because"),
        ({"Pod": [pod("gate", GATEWAY), pod("gateway", GATEWAY, "False")]}, "the gateway: 1 of 2 pods are ready"),
        ({"Service": [], "Deployment": []}, "the gateway: 0 of 1 pods are ready"),
    ],
)
async def test_what_is_not_ready_is_named_with_the_reason(session, lacking, missing):
    assert await Cluster(session, THROUGH_GATEWAY, **{**COMPLETE, **lacking}).not_ready() == [missing]


async def test_a_pool_without_a_policy_needs_no_gateway(session):
    watcher = Cluster(session, TARGET, LLMServingPool=[ours("small")])
    assert await watcher.not_ready() == []
    assert await watcher.spending() == {}


async def test_requests_go_to_all_gateways_that_are_ready_and_pools_are_seen_beside(session):
    client = Client(model="auto", session=session, endpoints={"gone": "http://gone"})
    client.results += [
        Result(0.0, 0.1, 0.2, 3, "gate", pool="small"),
        Result(0.0, None, 0.2, 0, "gate", pool="small", error="cut"),
    ]
    sample = await Cluster(session, THROUGH_GATEWAY, **COMPLETE).look(client, 0.0)
    assert client.endpoints == {"127.0.9.4": "http://127.0.9.4:8080", "127.0.9.7": "http://127.0.9.7:8080"}
    small = sample.pools["small"]
    assert (small.replicas, small.ready, small.answered, small.decision) == (2, 1, 1, "Hold 1")


async def test_without_a_gateway_they_go_to_the_engines_that_are_routable_and_ready(session):
    client = Client(model="small", session=session)
    client.results.append(Result(0.0, 0.1, 0.2, 3, "e"))
    pods = [engine("e"), engine("starting", ready="False"), engine("draining", routable="false")]
    sample = await Cluster(session, TARGET, **{**COMPLETE, "Pod": pods}).look(client, 0.0)
    assert client.endpoints == {"e": "http://127.0.9.1:8000"}
    small = sample.pools["small"]
    assert (small.ready, small.starting, small.draining, small.answered) == (1, 1, 1, 1)


async def test_prices_are_those_of_the_status_in_the_order_of_the_pools(session):
    target = Target("default", (*TARGET.pools, WatchedPool("large", TARGET.pools[0].adapter, "0.33.0")), "auto")
    pools = [ours("large"), ours("small", prices={"source": "Given"})]
    found = await Cluster(session, target, LLMServingPool=pools).prices()
    assert list(found.items()) == [("small", {"source": "Given"}), ("large", {})]
