import dataclasses
import json
import re

import pytest

from mixserve_devcluster.demo.client import Result
from mixserve_devcluster.demo.recording import Recording
from mixserve_devcluster.demo.spending import Spending
from mixserve_devcluster.demo.summary import summarise
from mixserve_devcluster.demo.timeline import write_html, write_png
from support.demo_samples import QUIET_POOL, sample_of


@pytest.fixture
def recording() -> Recording:
    spending = {"cheap": Spending(requests=30), "dear": Spending()}
    record = Recording(engine="simulated vLLM", workload="<made up>", spending=spending)
    for at_s in range(30):
        small = dataclasses.replace(QUIET_POOL, replicas=1 + at_s // 10, decision=f"ScaleUp <{at_s // 10}>")
        record.add(sample_of(float(at_s), small=small, large=QUIET_POOL))
        record.results.append(Result(float(at_s), 0.5, 1.0, 7, "gateway", tier="cheap"))
    return record


def test_the_picture_is_a_png(tmp_path, recording):
    write_png(recording, tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_requests_and_without_a_gateway_has_a_picture_too(tmp_path):
    write_png(Recording(engine="simulated vLLM", workload="none"), tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").exists()


def test_the_page_loads_nothing_and_escapes_what_it_shows(tmp_path, recording):
    write_html(recording, summarise(recording), tmp_path / "timeline.html")
    page = (tmp_path / "timeline.html").read_text()
    assert not re.findall(r'(?:src|href)="(?!#)[^"]+"', page.split("<svg")[0] + page.split("</svg>")[1])
    assert "&lt;made up&gt;" in page
    assert "ScaleUp &lt;2&gt;" in page
    assert "<made up>" not in page


def test_the_page_carries_the_data(tmp_path, recording):
    write_html(recording, summarise(recording), tmp_path / "timeline.html")
    data = re.search(r'id="recording">(.*)</script>', (tmp_path / "timeline.html").read_text())
    assert data
    assert len(json.loads(data[1])["samples"]) == 30
