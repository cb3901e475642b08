import subprocess
import sys

# A server that answers once all requests have come, and a client, in a process that may have 64 files open at first.
MANY = """
import asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from mixserve_devcluster.demo.client import Client
from mixserve_devcluster.demo.drive import client_session
from mixserve_devcluster.demo.workload import Arrival, Lengths

REQUESTS = 150
arrived = asyncio.Barrier(REQUESTS)

async def answer(request):
    await request.read()
    await arrived.wait()
    return web.Response(text="data: [DONE]\\n\\n")

async def main():
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    async with TestServer(app) as server, client_session() as session:
        client = Client(model="m", session=session, endpoints={"pod": str(server.make_url("")).rstrip("/")})
        await client.run(Arrival(0.0, Lengths(1, 1)) for _ in range(REQUESTS))
        print(len(client.results), {result.error for result in client.results})

asyncio.run(main())
"""


def test_there_are_as_many_requests_at_once_as_come_whatever_the_soft_limit_of_open_files():
    command = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh", sys.executable, "-c", MANY]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "150 {''}\n", done.stderr
