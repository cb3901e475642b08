"""Checkpoints on the hub, with the token of the pool's Secret where the operator may read it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any

from mixserve.apply.errors import ApiError, NotFound
from mixserve.apply.resources import SECRETS
from mixserve.plan.absence import Absence, Outlook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixserve.api.pool import LLMServingPool
    from mixserve.apply.connection import Connection
    from mixserve.observe.hub import HubReader
    from mixserve.plan.model_source import Repository

# What may stand in a header. Secrets that were made from files often end with a line break.
_TOKEN = re.compile(r"[!-~]{1,1000}")


class HubSource:
    """Checkpoints on the hub.

    Args:
        hub: reads them.
        connection: to the API server, for tokens.
        reads_tokens: whether the operator has the right to read Secrets.
    """

    patience_s = 30.0
    tries = 2
    # The hub says that it is down for a moment; a licence is accepted within minutes.
    pauses_s: tuple[float, ...] = (1.0, 15.0, 60.0, 300.0)

    def __init__(self, hub: HubReader, connection: Connection, *, reads_tokens: bool) -> None:
        self._hub = hub
        self._connection = connection
        self._reads_tokens = reads_tokens

    async def read(self, pool: LLMServingPool, repository: Repository, *, version: str) -> Mapping[str, Any] | Absence:
        """The decoded config.json of a checkpoint, or why not. A commit never changes, whatever the version."""
        del version
        reference, namespace = pool.spec.model.token_secret_ref, pool.metadata.namespace
        if reference is None:
            return await self._hub.read(repository, token=None)
        if not self._reads_tokens:
            found = await self._hub.read(repository, token=None)
            return _without_right(repository) if isinstance(found, Absence) and _is_refused(found) else found
        token = await self._token(namespace, reference.name, reference.key)
        if isinstance(token, Absence):
            return token
        return await self._hub.read(repository, token=token, scope=f"{namespace}/{reference.name}/{reference.key}")

    def being_read(self, repository: Repository, *, for_long: bool) -> Absence:
        """What there is to say meanwhile."""
        return Absence(
            outlook=Outlook.LATER if for_long else Outlook.SOON,
            detail=f"config.json of {repository} is being read from the hub",
            remedy="nothing has to be done; with spec.model.facts the pool would not wait for it",
        )

    async def _token(self, namespace: str, name: str, key: str) -> str | Absence:
        where = f"the Secret {name} of spec.model.tokenSecretRef"
        try:
            secret = await self._connection.get(SECRETS, namespace=namespace, name=name)
        except NotFound:
            return _no_token(f"there is no {where.removeprefix('the ')}", "create it")
        except ApiError as error:
            return _no_token(
                f"{where} can't be read ({type(error).__name__})", "see the operator's rights in the chart"
            )
        try:
            text = base64.b64decode((secret.get("data") or {}).get(key, ""), validate=True).decode("ascii").strip()
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if not _TOKEN.fullmatch(text):
            return _no_token(f"{where} has no token under {key}", "put one there")
        return text


def _is_refused(absence: Absence) -> bool:
    return absence.outlook in {Outlook.LATER, Outlook.NOT_THERE}


def _without_right(repository: Repository) -> Absence:
    return Absence(
        outlook=Outlook.LATER,
        detail=f"config.json of {repository} can't be read without its token, and the operator may not read Secrets",
        remedy="set the chart's hub.readTokens, or give the model's numbers in spec.model.facts",
    )


def _no_token(detail: str, remedy: str) -> Absence:
    return Absence(outlook=Outlook.LATER, detail=detail, remedy=f"{remedy}, or give its numbers in spec.model.facts")
