from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from structlog.testing import capture_logs

from mixserve.api.cluster_observation import Unseen, UnseenReason
from mixserve.apply.errors import ApiError, Expired, Forbidden, Unavailable
from mixserve.apply.resources import NODES
from mixserve.observe import feed
from mixserve.observe.feed import Feed
from support.waiting_in_loop import running, until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping


def obj(uid: str, value: str | None, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "resourceVersion": version}, "value": value}


def event(kind: str, uid: str, value: str | None = None, version: str = "9") -> dict[str, Any]:
    return {"type": kind, "object": obj(uid, value, version)}


def page(*objects: dict[str, Any], version: str = "5", token: str = "") -> dict[str, Any]:
    return {"items": list(objects), "metadata": {"resourceVersion": version, "continue": token}}


SCOPE = {"namespace": "llm", "field_selector": "a=b", "label_selector": "c=d"}


class Server:
    """Gives pages in their order, the last one again and again, and tells of events until it is told to stop.

    With `answers` it waits before each page until it is released.
    """

    def __init__(self, *pages: dict[str, Any] | ApiError, answers: int = 1000) -> None:
        self.answers = asyncio.Semaphore(answers)
        self.pages = list(pages)
        self.tokens: list[str | None] = []
        self.watched: list[str] = []
        self.events: asyncio.Queue[dict[str, Any] | ApiError | None] = asyncio.Queue()

    async def list_page(self, _: object, *, limit: int, token: str | None, **scope: str | None) -> Any:
        await self.answers.acquire()
        assert limit > 0
        assert scope == SCOPE
        self.tokens.append(token)
        answer = self.pages.pop(0) if len(self.pages) > 1 else self.pages[0]
        if isinstance(answer, ApiError):
            raise answer
        return answer

    async def watch(self, _: object, *, version: str, **scope: str | None) -> AsyncGenerator[dict[str, Any]]:
        assert scope == SCOPE
        self.watched.append(version)
        while (told := await self.events.get()) is not None:
            if isinstance(told, ApiError):
                raise told
            yield told


class Watched:
    """A feed of what objects have as their value."""

    def __init__(self, server: Server) -> None:
        self.news = 0
        self.feed: Feed[str] = Feed(
            server,
            NODES,
            trim=self._trim,
            changed=self._changed,
            namespace="llm",
            field_selector="a=b",
            label_selector="c=d",
        )

    def _trim(self, obj: Mapping[str, Any]) -> str | None:
        return obj["value"]  # type: ignore[no-any-return]

    def _changed(self) -> None:
        self.news += 1

    @property
    def seen(self) -> set[str] | Unseen:
        return self.feed.seen if isinstance(self.feed.seen, Unseen) else set(self.feed.seen)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORBIDDEN_PAUSE_S", "_BETWEEN_WATCHES_S", "_FIRST_PAUSE_S"):
        monkeypatch.setattr(feed, name, 0.0)


async def test_nothing_is_known_at_first() -> None:
    assert Watched(Server(page())).seen == Unseen(UnseenReason.NOT_LISTED)


async def test_all_pages_are_read_and_what_is_of_no_interest_is_not_kept() -> None:
    server = Server(page(obj("a", "A"), obj("b", None), token="next"), page(obj("c", "C")))
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: server.watched)
    assert watched.seen == {"A", "C"}
    assert server.tokens == [None, "next"]
    assert server.watched == ["5"]
    assert watched.news == 1


async def test_an_empty_list_is_news_too() -> None:
    watched = Watched(Server(page()))
    async with running(watched.feed.run()):
        await until(lambda: watched.news)
    assert watched.seen == set()


async def test_events_change_it_and_only_what_differs_is_news() -> None:
    server = Server(page(obj("a", "A"), obj("b", "B")))
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: server.watched)
        for told, seen, news in (
            (event("MODIFIED", "a", "A"), {"A", "B"}, 1),
            (event("MODIFIED", "a", "A2"), {"A2", "B"}, 2),
            (event("ADDED", "c", "C"), {"A2", "B", "C"}, 3),
            (event("ADDED", "d", None), {"A2", "B", "C"}, 3),
            (event("MODIFIED", "b", None), {"A2", "C"}, 4),
            (event("DELETED", "c", "C"), {"A2"}, 5),
            (event("DELETED", "unheard of", "X"), {"A2"}, 5),
        ):
            server.events.put_nowait(told)
            await until(server.events.empty)
            await asyncio.sleep(0)
            assert (watched.seen, watched.news) == (seen, news)


async def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    server = Server(page())
    watched = Watched(server)
    async with running(watched.feed.run()):
        for told in (event("ADDED", "a", "A", "7"), {"type": "BOOKMARK", "object": obj("", None, "8")}, None):
            server.events.put_nowait(told)
        await until(lambda: len(server.watched) == 2)
    assert server.watched == ["5", "8"]
    assert server.tokens == [None]


@pytest.mark.parametrize("error", [Expired("410", status=410), Unavailable("broken off")])
async def test_a_watch_that_breaks_is_begun_anew_with_a_list(error: ApiError) -> None:
    server = Server(page(obj("a", "A")), page(obj("b", "B"), version="20"))
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: server.watched)
        server.events.put_nowait(error)
        await until(lambda: len(server.watched) == 2)
    assert watched.seen == {"B"}
    assert server.watched == ["5", "20"]
    assert watched.news == 2


async def test_the_same_list_again_is_no_news() -> None:
    server = Server(page(obj("a", "A")))
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: server.watched)
        server.events.put_nowait(Expired("410", status=410))
        await until(lambda: len(server.watched) == 2)
    assert watched.news == 1


async def test_without_the_right_it_says_so_and_asks_again_later() -> None:
    server = Server(*[Forbidden("403", status=403)] * 3, page(obj("a", "A")), answers=3)
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: len(server.tokens) == 3)
        assert (watched.seen, watched.news) == (Unseen(UnseenReason.FORBIDDEN, "403"), 1)
        server.answers.release()
        await until(lambda: server.watched)
    assert watched.seen == {"A"}
    assert watched.news == 2  # not each refusal


async def test_a_right_that_is_taken_away_takes_what_was_known() -> None:
    server = Server(page(obj("a", "A")), Forbidden("403", status=403))
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: server.watched)
        server.events.put_nowait(Unavailable("broken off"))
        await until(lambda: watched.news == 2)
        assert watched.seen == Unseen(UnseenReason.FORBIDDEN, "403")


async def test_one_failure_is_no_news_and_several_are() -> None:
    server = Server(Unavailable("500"), answers=2)
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: len(server.tokens) == 2)
        assert watched.seen == Unseen(UnseenReason.NOT_LISTED)
        for _ in range(3):
            server.answers.release()
        await until(lambda: len(server.tokens) == 5)
    assert (watched.seen, watched.news) == (Unseen(UnseenReason.UNAVAILABLE, "500"), 1)


async def test_where_watches_break_at_once_lists_come_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    server, pauses = Server(page(obj("a", "A"))), list[float]()
    watched = Watched(server)
    monkeypatch.setattr(feed, "_FIRST_PAUSE_S", 1e-6)
    monkeypatch.setattr(feed, "_log", Mock(info=lambda _, *, pause_s, **__: pauses.append(pause_s)))
    for told in (*[Unavailable("broken off")] * 4, event("ADDED", "b", "B"), Unavailable("broken off")):
        server.events.put_nowait(told)
    async with running(watched.feed.run()):
        await until(lambda: len(pauses) == 5)
    assert pauses == [1e-6, 2e-6, 4e-6, 8e-6, 1e-6], "one that has told something is a new beginning"


async def test_an_object_on_which_it_stumbles_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_LONGEST_PAUSE_S", 0.0)
    server = Server(page({"metadata": {"uid": "a"}}), page(obj("b", "B")))
    watched = Watched(server)
    with capture_logs() as logs:
        async with running(watched.feed.run()):
            await until(lambda: server.watched)
    assert watched.seen == {"B"}
    assert [entry["event"] for entry in logs] == ["feed_stumbled"]


async def test_what_was_seen_stays_while_nothing_answers() -> None:
    server = Server(page(obj("a", "A")), Unavailable("500"))
    watched = Watched(server)
    async with running(watched.feed.run()):
        await until(lambda: server.watched)
        server.events.put_nowait(Unavailable("broken off"))
        await until(lambda: len(server.tokens) > 6)
    assert watched.seen == {"A"}
    assert watched.news == 1


@pytest.mark.parametrize("error", [Forbidden("no"), Unavailable("down"), Expired("old")])
async def test_a_feed_that_asks_in_vain_is_not_silent(error: ApiError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "_LONGEST_PAUSE_S", 0.0)
    server = Server(error)
    watched = Watched(server)
    monkeypatch.setattr(watched.feed, "_turned_s", -1e9)
    async with running(watched.feed.run()):
        await until(lambda: len(server.tokens) > 1)
        assert watched.feed.silent_for_s < 60
