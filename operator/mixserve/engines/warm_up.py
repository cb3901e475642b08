"""The program of the startup probe: has the engine loaded its model, and made a token or an embedding with it?

It runs as `drain` does: in the engine's container, with the image's `python3` (3.9 or newer) and the standard library,
and knows its arguments and POD_IP only; of the environment it also takes an API key, where somebody has set one. It
waits for the engine within its time, so a replica is ready within a second of its first answer, however rarely the
probe is started. Its one line of output is what the pod's events say about a replica that is not ready.

Whoever ends it closes its connection, and both engines abort a request whose client is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixserve.engines.protocol import EngineAdapter, Launch

WAIT_S = 8.0
"""How long one run of the program waits for the engine; the probe's own limit has to leave time to start Python."""

POLL_S = 1.0

# A completion and no chat: that would need a chat template, which base models lack.
PROGRAM = """\
import http.client, json, os, sys, time

port, health, wait_s, poll_s = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
embeds, names = sys.argv[5] == "Embed", sys.argv[6:]
end = time.monotonic() + wait_s
headers = {"Content-Type": "application/json"}
if os.environ.get("VLLM_API_KEY"):
    headers["Authorization"] = "Bearer " + os.environ["VLLM_API_KEY"]


def ask(path, body=None):
    connection = http.client.HTTPConnection(os.environ["POD_IP"], port, timeout=max(0.1, end - time.monotonic()))
    try:
        connection.request("POST" if body else "GET", path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except ConnectionRefusedError:
        raise ValueError("nothing listens on port %d" % port)
    except (OSError, http.client.HTTPException) as error:
        raise ValueError("no answer to %s, %s" % (path, error or type(error).__name__))
    finally:
        connection.close()
    if answer.status != 200:
        raise ValueError("%s answers %d %s" % (path, answer.status, " ".join(text.split())[:200]))
    return text


def state():
    step = "the engine is loading"
    try:
        ask(health)
        step = "the engine has no list of models"
        listed = [model["id"] for model in json.loads(ask("/v1/models"))["data"]]
        model = (names or listed)[0]
        if not set(names) <= set(listed):
            return "the engine serves %s, not %s" % (", ".join(listed), ", ".join(names))
        if embeds:
            step = "the engine has not made its first embedding"
            json.loads(ask("/v1/embeddings", json.dumps({"model": model, "input": "Hello"})))["data"][0]
        else:
            step = "the engine has not made its first token"
            body = json.dumps({"model": model, "prompt": "Hello", "max_tokens": 1})
            json.loads(ask("/v1/completions", body))["choices"][0]
    except (ValueError, LookupError, TypeError) as error:
        return "%s: %s" % (step, error)


said = state()
while said and time.monotonic() + poll_s < end:
    time.sleep(poll_s)
    said = state()
if said:
    print(said)
    sys.exit(1)
"""


def warm_up_command(
    adapter: EngineAdapter,
    launch: Launch,
    *,
    wait_s: float = WAIT_S,
    poll_s: float = POLL_S,
) -> tuple[str, ...]:
    """The command that succeeds once the engine lists its models and has made a token, or an embedding.

    Otherwise it ends with 1 after `wait_s` or a little later, with what is not so yet as its output.
    """
    return (
        "python3",
        "-c",
        PROGRAM,
        str(adapter.port),
        adapter.health_path,
        *(f"{seconds:g}" for seconds in (wait_s, poll_s)),
        launch.task.value,
        *adapter.listed_names(launch),
    )
