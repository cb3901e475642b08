import dataclasses
import json
import re

import pytest

from mixserve_devcluster.demo.recording import Recording, summarise
from mixserve_devcluster.demo.timeline import write_html, write_png
from support.demo_samples import QUIET


@pytest.fixture
def recording() -> Recording:
    record = Recording(engine="simulated vLLM", workload="<made up>")
    for at_s in range(30):
        record.add(
            dataclasses.replace(
                QUIET,
                at_s=float(at_s),
                replicas=1 + at_s // 10,
                kv_cache_usage=at_s / 30,
                decision=f"ScaleUp <{at_s // 10}>",
            )
        )
    return record


def test_the_picture_is_a_png(tmp_path, recording):
    write_png(recording, tmp_path / "timeline.png")
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


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
