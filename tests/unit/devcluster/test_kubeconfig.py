from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import yaml

from mixserve.controller.webhook.authority import KeyPair
from mixserve_devcluster import kubeconfig
from mixserve_devcluster.kubeconfig import Endpoint

if TYPE_CHECKING:
    from pathlib import Path

ENDPOINT = Endpoint(server="https://127.0.0.1:6443", authority=b"an authority")


def user_of(path: Path) -> dict[str, Any]:
    """What the current context authenticates with, found the way kubectl finds it."""
    content = yaml.safe_load(path.read_text())
    contexts = {context["name"]: context["context"] for context in content["contexts"]}
    users = {user["name"]: user["user"] for user in content["users"]}
    user: dict[str, Any] = users[contexts[content["current-context"]]["user"]]
    return user


def test_a_certificate_stands_in_the_file_itself(tmp_path: Path) -> None:
    path = kubeconfig.write_for_certificate(tmp_path / "k", ENDPOINT, KeyPair(certificate=b"c", key=b"k"))
    assert user_of(path) == {
        "client-certificate-data": base64.b64encode(b"c").decode(),
        "client-key-data": base64.b64encode(b"k").decode(),
    }


def test_a_token_is_for_its_owner_only(tmp_path: Path) -> None:
    path = kubeconfig.write_for_token(tmp_path / "k", ENDPOINT, "t0ken")
    assert user_of(path) == {"token": "t0ken"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_endpoint_can_be_read_back(tmp_path: Path) -> None:
    assert kubeconfig.read_endpoint(kubeconfig.write_for_token(tmp_path / "k", ENDPOINT, "t")) == ENDPOINT
