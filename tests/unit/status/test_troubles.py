import pytest

from mixserve.api.names import Reason
from mixserve.api.observation import PodProblem, Trouble
from mixserve.engines.protocol import StartupAdvice
from mixserve.status.troubles import Explained, explain


def explained(problem: PodProblem, message: str, log: str = "", *, advice: StartupAdvice | None = None) -> Explained:
    trouble = Trouble(problem, message, log)
    return explain(trouble, pool="chat", variant="fp8", index=1, advise=lambda _: advice)


def test_a_pod_that_no_node_takes() -> None:
    assert explained(
        PodProblem.UNSCHEDULABLE, "0/3 nodes are available:\n 3 Insufficient nvidia.com/gpu."
    ) == Explained(
        Reason.UNSCHEDULABLE,
        "spec.variants[1]: no node takes a replica of fp8: Insufficient nvidia.com/gpu; "
        "add nodes of this accelerator, free some, or lower replicas.max or tensorParallel",
    )


def test_what_the_scheduler_says_about_other_pods_is_left_out() -> None:
    words = (
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/3 nodes "
        "are available: 3 Preemption is not helpful for scheduling."
    )
    found = explained(PodProblem.UNSCHEDULABLE, words)
    assert "of fp8: Insufficient nvidia.com/gpu; add nodes" in found.text


def test_how_many_nodes_there_are_changes_nothing() -> None:
    reasons = "{} Insufficient nvidia.com/gpu, {} node(s) didn't match Pod's node affinity/selector, {} Too many pods."
    counted = [
        explained(PodProblem.UNSCHEDULABLE, f"0/{sum(n)} nodes are available: {reasons.format(*n)}").text
        for n in ((1, 2, 3), (10, 20, 30))
    ]
    assert counted[0] == counted[1]
    assert "Insufficient nvidia.com/gpu, node(s) didn't match Pod's node affinity/selector, Too many pods" in counted[0]


def test_a_missing_volume_claim() -> None:
    found = explained(
        PodProblem.UNSCHEDULABLE, '0/3 nodes are available: persistentvolumeclaim "models" not found. not found'
    )
    assert found == Explained(
        Reason.VOLUME_CLAIM_NOT_FOUND,
        "spec.model.source, the variant's source, that of an adapter or spec.engine.cache: there is no "
        "PersistentVolumeClaim models in "
        "this namespace; create it, and the pods start by themselves",
    )


def test_a_missing_chat_template() -> None:
    found = explained(PodProblem.CHAT_TEMPLATE_MISSING, "ConfigMap templates has no key llama.jinja")
    assert found.reason is Reason.CONFIG_MAP_NOT_FOUND
    assert found.text.startswith("spec.engine.chatTemplate: ConfigMap templates has no key llama.jinja; create it, or")


@pytest.mark.parametrize(
    ("lacking", "remedy"),
    [
        ("cpu", "lower replicas.max, resources or tensorParallel"),
        ("memory", "lower replicas.max, resources or tensorParallel"),
        ("nvidia.com/gpu", "lower replicas.max or tensorParallel"),
        ("example.com/memory", "lower replicas.max or tensorParallel"),
    ],
)
def test_what_the_replicas_reserve_is_named_where_nodes_lack_it(lacking: str, remedy: str) -> None:
    found = explained(PodProblem.UNSCHEDULABLE, f"0/2 nodes are available: 2 Insufficient {lacking}.")
    assert found.text.endswith(remedy)


def test_a_volume_claim_without_a_volume() -> None:
    found = explained(
        PodProblem.UNSCHEDULABLE, "0/3 nodes: pod has unbound immediate PersistentVolumeClaims. not found"
    )
    assert found.reason is Reason.UNSCHEDULABLE
    assert "the PersistentVolumeClaim of fp8 has no volume yet; kubectl describe pvc" in found.text


def test_an_image_that_can_not_be_pulled_is_told_alike_while_kubelet_tries_and_while_it_waits() -> None:
    tries = explained(PodProblem.IMAGE_UNAVAILABLE, "container engine: ErrImagePull: not found")
    waits = explained(
        PodProblem.IMAGE_UNAVAILABLE,
        'container engine: ImagePullBackOff: Back-off pulling image "x:1": ErrImagePull: not found',
    )
    assert tries == waits
    assert tries.reason is Reason.IMAGE_UNAVAILABLE
    assert tries.text.startswith("spec.engine.image: the image of fp8 can't be pulled: not found; correct ")


def test_another_trouble_with_an_image_is_told_as_it_is() -> None:
    found = explained(PodProblem.IMAGE_UNAVAILABLE, "container engine: InvalidImageName: couldn't parse x::1")
    assert "can't be pulled: container engine: InvalidImageName: couldn't parse x::1; " in found.text


@pytest.mark.parametrize(
    ("message", "path", "cause"),
    [
        ('secret "hf-token" not found', "spec.model.tokenSecretRef.name", "there is no Secret hf-token in this"),
        ("couldn't find key token in Secret llm/hf", "spec.model.tokenSecretRef.key", "Secret hf has no key token"),
        ("couldn't find key token in Secret hf", "spec.model.tokenSecretRef.key", "Secret hf has no key token"),
    ],
)
def test_a_missing_secret(message: str, path: str, cause: str) -> None:
    found = explained(PodProblem.CONFIG_ERROR, f"container engine: CreateContainerConfigError: {message}")
    assert found.reason is Reason.SECRET_NOT_FOUND
    assert found.text.startswith(f"{path}: {cause}")


def test_another_configuration_error() -> None:
    found = explained(PodProblem.CONFIG_ERROR, 'configmap "x" not found')
    assert found.reason is Reason.CONTAINER_CONFIG_ERROR
    assert 'the container of fp8 can\'t be created: configmap "x" not found; ' in found.text


def test_a_crash_that_the_engine_knows() -> None:
    advice = StartupAdvice(cause="no memory is left for the KV cache", remedy="use a larger GPU.")
    assert explained(PodProblem.CRASHING, "exit code 1", "some log", advice=advice) == Explained(
        Reason.ENGINE_START_FAILED,
        "spec.engine: the engine of fp8 does not start: no memory is left for the KV cache; use a larger GPU",
    )


def test_the_engine_is_asked_about_the_log() -> None:
    asked: list[str] = []

    def advise(log: str) -> None:
        asked.append(log)

    explain(Trouble(PodProblem.CRASHING, "", "the log"), pool="chat", variant="fp8", index=0, advise=advise)
    assert asked == ["the log"]


def test_an_unknown_crash_quotes_the_last_exception_and_says_where_to_read_on() -> None:
    log = "ERROR 11-21 02:20:11 [core.py:9] KeyError: 'a'\nTraceback:\n(EngineCore pid=7) torch.cuda.FooError: bar\nbye"
    assert explained(PodProblem.CRASHING, "exit code 1", log).text == (
        "spec.engine: the engine of fp8 does not start: torch.cuda.FooError: bar; read its log: "
        "kubectl logs -l mixserve.dev/pool=chat,mixserve.dev/variant=fp8 -c engine --previous"
    )


def test_a_crash_without_a_log_says_how_it_ended() -> None:
    assert (
        "does not start: ended with exit code 137; " in explained(PodProblem.CRASHING, "ended with exit code 137").text
    )


@pytest.mark.parametrize(
    ("message", "loading"),
    [
        ("container engine: ended with exit code 0 (Completed)", True),
        ("container engine: ended with exit code 143, signal 15 (Error)", True),
        ("container engine: ended with exit code 137, signal 9 (Error)", True),
        ("container engine: ended with exit code 137, signal 9 (OOMKilled)", False),
        ("container engine: ended with exit code 1 (Error)", False),
    ],
)
def test_an_engine_that_was_stopped_may_need_more_time(message: str, loading: bool) -> None:
    found = explained(PodProblem.CRASHING, message)
    assert ("; if it was still loading, raise spec.engine.startupTimeout; read its log: " in found.text) is loading


def test_a_long_exception_is_cut() -> None:
    found = explained(PodProblem.CRASHING, "", "ValueError: " + "x" * 5000)
    assert len(found.text) < 500


@pytest.mark.parametrize(
    "secret", ["hf_abcDEF123456", "sk-proj-abcdef123456", "user:pa55word", "https://user:pa55word@example.com/x"]
)
def test_credentials_in_an_exception_do_not_reach_the_status(secret: str) -> None:
    url = secret if secret.startswith("https") else f"https://{secret}@example.com/"
    found = explained(PodProblem.CRASHING, "", f"OSError: 401 for {url} with {secret[:3]}")
    assert "pa55word" not in found.text
    assert "abcdef123456" not in found.text.lower()
    assert "OSError: 401 for https://***@example.com/" in found.text


def test_a_token_in_an_exception_is_hidden_where_it_stands() -> None:
    assert (
        "token *** was refused"
        in explained(PodProblem.CRASHING, "", "ValueError: token hf_abcDEF123456 was refused").text
    )


def test_an_engine_that_was_killed_while_it_served() -> None:
    log = "ERROR CUDA out of memory\nKeyError: 'a'"
    advice = StartupAdvice(cause="the GPU's memory ran out while the model was loaded", remedy="use a larger GPU")
    found = explained(PodProblem.ENDED, "container engine: ended with exit code 137 (Error)", log, advice=advice)
    assert found == Explained(
        Reason.ENGINE_ENDED,
        "spec.engine: the engine of fp8 ended while it served, and is started again: it was killed (exit code 137, "
        "SIGKILL), often for want of memory: of the container's limit or of the node; raise "
        "spec.variants[1].resources.memory where the events tell of memory; they also tell of a failed liveness probe; "
        "read its log: kubectl logs -l mixserve.dev/pool=chat,mixserve.dev/variant=fp8 -c engine --previous; what "
        "happened to the pod: kubectl describe pods --show-events -l mixserve.dev/pool=chat,mixserve.dev/variant=fp8",
    )


@pytest.mark.parametrize(
    ("ended", "cause", "remedy"),
    [
        ("137, signal 9 (OOMKilled)", "reached its memory limit", "raise spec.variants[1].resources.memory; "),
        ("143, signal 15 (Error)", "told to end (exit code 143, ", "whether its liveness probe failed, "),
        ("0 (Completed)", "told to end (exit code 0, ", "whether its liveness probe failed, "),
        ("139 (Error)", "segmentation fault (exit code 139, ", "try another spec.engine.version; "),
        ("1 (Error)", "again: EngineDeadError: a worker is gone; read its log", ""),
    ],
)
def test_exit_codes_of_engines_that_served_are_explained(ended: str, cause: str, remedy: str) -> None:
    log = "EngineDeadError: a worker is gone"
    found = explained(PodProblem.ENDED, f"container engine: ended with exit code {ended}", log)
    assert found.reason is Reason.ENGINE_ENDED
    assert cause in found.text
    assert remedy in found.text
    assert "startupTimeout" not in found.text


def test_an_ending_without_code_and_log_is_told_as_it_is() -> None:
    assert "again: CrashLoopBackOff; read its log" in explained(PodProblem.ENDED, "CrashLoopBackOff").text
