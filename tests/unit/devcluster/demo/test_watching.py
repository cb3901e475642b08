import aiohttp
import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from mixserve.api.engine import EngineType
from mixserve.engines.registry import adapter_for
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
