from decimal import Decimal

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mixserve_devcluster.demo.spending import Spending, SpendingError, read_spending, spending_on, total

PAGE = """
# TYPE mixserve_gateway_requests_total counter
mixserve_gateway_requests_total{code="200",policy="auto",pool="small",tier="small"} 5.0
mixserve_gateway_requests_total{code="503",policy="auto",pool="small",tier="small"} 1.0
mixserve_gateway_requests_total{code="200",policy="auto",pool="large",tier="large"} 2.0
mixserve_gateway_requests_total{code="200",policy="",pool="small",tier=""} 7.0
# TYPE mixserve_gateway_tokens_total counter
mixserve_gateway_tokens_total{kind="prompt",policy="auto",pool="small",tier="small"} 100.0
mixserve_gateway_tokens_total{kind="cached",policy="auto",pool="small",tier="small"} 30.0
mixserve_gateway_tokens_total{kind="completion",policy="auto",pool="small",tier="small"} 20.0
# TYPE mixserve_gateway_cost_usd_total counter
mixserve_gateway_cost_usd_total{policy="auto",pool="small",tier="small"} 1e-05
# TYPE mixserve_gateway_dearest_cost_usd_total counter
mixserve_gateway_dearest_cost_usd_total{policy="auto",pool="small",tier="small"} 4e-05
"""
SMALL = Spending(6, 130, 20, cost_usd=Decimal("0.00001"), dearest_cost_usd=Decimal("0.00004"))


def test_only_what_the_policy_has_decided_counts_by_tier():
    assert spending_on(PAGE, "auto") == {"small": SMALL, "large": Spending(requests=2)}


def test_saved_is_of_what_the_largest_tier_would_have_cost():
    assert SMALL.saved_percent == pytest.approx(75.0)
    assert Spending(requests=3).saved_percent is None


async def answer(request: web.Request) -> web.Response:
    return web.Response(text=PAGE) if request.path == "/metrics" else web.Response(status=503)


@pytest.fixture
async def url():
    app = web.Application()
    app.router.add_get("/{path}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


async def test_all_gateways_are_added_up(url):
    async with aiohttp.ClientSession() as session:
        found = await read_spending(session, [f"{url}metrics"] * 2, "auto")
    assert found["small"] == SMALL + SMALL
    assert total(found.values()).requests == 16


@pytest.mark.parametrize("page", ["broken", "http://127.0.0.1:1/metrics"])
async def test_a_gateway_that_does_not_answer_is_an_error(url, page):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(SpendingError, match="does not say what it has counted"):
            await read_spending(session, [page if ":" in page else url + page], "auto")
