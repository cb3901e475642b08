"""The Job that reads a volume passes the restricted Pod Security Standard and asks for little."""

from mixserve.plan.files_job import claim_of, files_job
from mixserve.plan.model_source import Repository
from support.manifests import pool

REPOSITORY = Repository("pvc://models/llama/fp8")


def job(version="", image="mixserve:1", repository=REPOSITORY):
    return files_job(pool(), repository, image=image, version=version)


def test_it_reads_the_path_of_the_claim_without_any_right():
    spec = job().body["spec"]["template"]["spec"]
    [container] = spec["containers"]

    assert container["command"][1:3] == ["facts", "/models/models/llama/fp8"]
    assert spec["volumes"] == [
        {"name": "model", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}},
    ]
    assert container["volumeMounts"] == [{"name": "model", "mountPath": "/models/models", "readOnly": True}]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_it_ends_and_goes_by_itself():
    spec = job().body["spec"]

    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 300, 600)


def test_its_pods_are_none_of_the_pools_replicas():
    assert "metadata" not in job().body["spec"]["template"]


def test_another_path_image_or_request_is_another_job():
    other = Repository("pvc://models/llama")
    names = {one.name for one in (job(), job("2"), job(image="mixserve:2"), job(repository=other))}

    assert len(names) == 4
    assert all(name.startswith("chat-files-") and len(name) <= 63 for name in names)
    assert job().name == job().name


def test_a_claim_may_be_a_model_by_itself():
    assert claim_of(Repository("pvc://models")) == "models"
