"""The program of the preStop hook: hold a pod until its engine has nothing left to do.

It runs in the engine's container with the image's `python3` (3.9 or newer) and the standard library. All that it knows
are its arguments and the variable POD_IP: a pod's loopback address may be shared by pods where a cluster runs them as
plain processes.

Statistics that can be read once only are the operator's while a pod serves, and this program's once it terminates: from
then on the operator does not read them any more. A probe's restart runs the program, too; what it takes away then is
missing from one scrape.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from mixserve.engines.protocol import MetricsFormat

if TYPE_CHECKING:
    from mixserve.engines.protocol import EngineAdapter, MetricsPage

ADDRESS_VARIABLE = "POD_IP"

SETTLE_S = 5.0
"""Idle does not count before: clients and proxies take seconds to learn that the pod is terminating."""

POLL_S = 1.0
"""Requests that arrive between two reads are why an engine has to be idle in several of them."""

_READ_GAUGES = """\
def value(line):
    return float(line.rpartition("}")[2].split()[0] if "}" in line else line.split()[1])


def total(lines, names):
    for name in names:
        found = [value(line) for line in lines if line.startswith((name + "{", name + " "))]
        if found:
            return sum(found)
    return math.nan
"""

_READ_STATISTICS = """\
def total(lines, names):
    iterations = json.loads("".join(lines))
    if not isinstance(iterations, list):
        return math.nan
    newest = iterations[-1] if iterations else dict.fromkeys(names, 0)
    found = newest.get(names[0]) if isinstance(newest, dict) else None
    return found if type(found) is int else math.nan
"""

# Exit is always 0: a failed hook would only add an event, and the pod has to go either way.
_PROGRAM = """\
import http.client, math, os, sys, time

port, path, running, waiting = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), sys.argv[4].split(",")
timeout_s, settle_s, poll_s = map(float, sys.argv[5:8])
READS = 3


READ


def state():
    try:
        connection = http.client.HTTPConnection(os.environ["POD_IP"], port, timeout=TIMEOUT)
        connection.request("GET", path)
        answer = connection.getresponse()
        lines = answer.read().decode(errors="replace").splitlines()
        connection.close()
        requests = total(lines, running) + total(lines, waiting)
    except ConnectionRefusedError:
        return "gone"
    except (OSError, http.client.HTTPException, ValueError, IndexError) as error:
        return "unknown: %s" % error
    if math.isnan(requests):
        return "unknown: no %s on %s" % (running[0], path)
    return "%g requests left" % requests if requests else "idle"


began, last, count = time.monotonic(), "", 0
while time.monotonic() - began < timeout_s:
    now = state()
    count = count + 1 if now == last else 1
    last = now
    settled = time.monotonic() - began >= settle_s
    if count >= READS and (now == "gone" or now == "idle" and settled):
        break
    time.sleep(poll_s)
print("drained after %.0f s: %s" % (time.monotonic() - began, last))
"""

_READERS = MappingProxyType(
    {
        MetricsFormat.PROMETHEUS: _READ_GAUGES,
        MetricsFormat.ITERATION_STATISTICS: _READ_STATISTICS,
    }
)


def program(page: MetricsPage) -> str:
    """The program that reads such a page."""
    text = _PROGRAM.replace("READ\n", _READERS[page.format], 1).replace("TIMEOUT", f"{page.timeout_s:g}", 1)
    if page.format is MetricsFormat.ITERATION_STATISTICS:
        return text.replace("import http.client, math", "import http.client, json, math", 1)
    return text


def drain_command(
    adapter: EngineAdapter,
    *,
    version: str,
    timeout_s: float,
    settle_s: float = SETTLE_S,
    poll_s: float = POLL_S,
) -> tuple[str, ...]:
    """The command that returns once the engine is idle or gone, or after `timeout_s`.

    Idle means that running and waiting requests are 0 in three reads in a row, the last one after `settle_s`. No
    answer, or one without these metrics, counts as busy; three refused connections in a row mean that there is no
    engine.
    """
    page = adapter.metrics_page(version)
    return (
        "python3",
        "-c",
        program(page),
        str(adapter.port),
        page.path,
        ",".join(page.names.running),
        ",".join(page.names.waiting),
        *(f"{seconds:g}" for seconds in (timeout_s, settle_s, poll_s)),
    )
