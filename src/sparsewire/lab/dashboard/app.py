"""The dashboard as a web application: a page, questions that are answered in JSON, and a stream of events."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparsewire.errors import RequestError, StoreError, UnknownNameError
from sparsewire.lab.dashboard import columns, overview, requests, table, trial_curves, trial_page
from sparsewire.lab.dashboard.feed import Feed, Moment
from sparsewire.lab.dashboard.guard import App, Door, Guard
from sparsewire.lab.dashboard.known import Known
from sparsewire.lab.dashboard.live_rows import curves_of, live_rows
from sparsewire.lab.dashboard.pictures import Pictures, kept_network, live_network
from sparsewire.lab.dashboard.plain_values import short
from sparsewire.lab.dashboard.reader import Reader
from sparsewire.lab.dashboard.single_trials import kept_trial
from sparsewire.lab.dashboard.static_files import page_files
from sparsewire.lab.store import Store

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

NETWORK = "network of a trial"
Answer = Callable[["QueryParams"], Awaitable[str]]


class Dashboard:
    """Answers what pages ask.

    Args:
        root: the store's folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reader = Reader(root)
        self.slow = Reader(root)  # for what takes long, so that nothing else waits for it
        self.known = Known()  # used in the reader's thread alone
        self.feed = Feed(self.reader)
        self.pictures = Pictures()

    async def overview(self, query: "QueryParams") -> str:
        """The head of the page; where there is no store, why."""
        moment = await self.feed.now()
        about = {
            "store": short(self.root.absolute(), 4_000),
            "running": moment.running,
            "stopped": len(moment.stopped),
            "missing": None,
        }
        try:
            return await self._ask(
                moment,
                "overview",
                lambda store: about | overview.overview_of(store, self.known, moment.live, moment.running),
            )
        except StoreError as error:
            return _text(about | overview.NOTHING | {"missing": short(error, 2_000), "again": 2.0})

    async def columns(self, query: "QueryParams") -> str:
        """Columns, facets and curves of the trials that fit the filter."""
        where, moment = requests.where_of(query), await self.feed.now()
        names = list(dict.fromkeys(name for one in moment.live.values() for name in curves_of(one)))

        def look(store: Store) -> dict[str, Any]:
            return columns.columns_of(
                store, self.known, live_rows(self.root, moment.live, moment.stopped), names, where
            )

        return await self._ask(moment, ("columns", where), look)

    async def trials(self, query: "QueryParams") -> str:
        """Some rows of the table."""
        where, (offset, limit) = requests.where_of(query), requests.window_of_rows(query)
        sort, descending = short(query.get("sort", "")), bool(query.get("descending", ""))
        moment = await self.feed.now()

        def look(store: Store) -> dict[str, Any]:
            live = live_rows(self.root, moment.live, moment.stopped)
            return table.page_of(store, self.known, live, where, sort, descending, offset, limit)

        return await self._ask(moment, ("trials", where, sort, descending, offset, limit), look)

    async def curves(self, query: "QueryParams") -> str:
        """The curves of some trials."""
        keys, names = requests.keys_of(query), requests.names_of(query)
        window, moment = requests.window_of_curves(query), await self.feed.now()

        def look(store: Store) -> dict[str, Any]:
            return trial_curves.curves_of_trials(store, moment.live, keys, names, window)

        return await self._ask(moment, ("curves", *keys, *names, window), look)

    async def groups(self, query: "QueryParams") -> str:
        """The curves of groups of trials."""
        where, names, window = requests.where_of(query), requests.names_of(query), requests.window_of_curves(query)
        by = short(query.get("by", ""))

        def look(store: Store) -> dict[str, Any]:
            return trial_curves.curves_of_groups(store, where, by, names, window)

        return await self._ask(None, ("groups", where, by, *names, window), look, self.slow)

    async def trial(self, query: "QueryParams") -> str:
        """One trial."""
        key, moment = requests.trial_of(query), await self.feed.now()
        running = moment.live.get(str(key))
        return await self._ask(
            moment, ("trial", key), lambda store: trial_page.trial_page(store, running, key, str(key) in moment.stopped)
        )

    async def network(self, query: "QueryParams") -> bytes:
        """One trial's network as a picture."""
        key, moment = requests.trial_of(query), await self.feed.now()
        if str(key) in moment.live:
            source = live_network(self.root, key)
        else:
            kept, _ = await self.reader.ask(("network", key), lambda store: kept_trial(self.root, key))
            source = None if kept is None else kept_network(self.root, key, kept.artefacts)
        if source is None:
            raise UnknownNameError(NETWORK, str(key), [])
        return await self.pictures.svg(source)

    async def _ask(
        self, moment: Moment | None, name: Hashable, question: Callable[[Store], dict[str, Any]],
        reader: Reader | None = None,
    ) -> str:  # fmt: skip
        """An answer as JSON, with the seconds after which it should be asked for again, 0 if it is of this moment."""
        # kept as text, which takes a tenth of the memory
        number = 0 if moment is None else moment.number
        text, again = await (reader or self.reader).ask(name, lambda store: _text(question(store)), number)
        return f'{text[:-1]},"again":{again:.3f}}}'

    async def close(self) -> None:
        """Lets go of everything."""
        await self.feed.close()
        self.reader.close()
        self.slow.close()


def application(root: Path, door: Door, is_closing: Callable[[], bool] = lambda: False) -> App:
    """The web application for a store's folder.

    Args:
        root: the store's folder; it may be empty or missing yet.
        door: who may ask.
        is_closing: whether the server is about to end, so that streams end too.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    dashboard = Dashboard(root)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await dashboard.close()

    answers = (
        dashboard.overview,
        dashboard.columns,
        dashboard.trials,
        dashboard.curves,
        dashboard.groups,
        dashboard.trial,
    )
    routes = [Route(f"/api/{answer.__name__}", _endpoint(answer)) for answer in answers]
    routes += [Route("/api/network", _network(dashboard)), Route("/events", _events(dashboard.feed, is_closing))]
    routes += [Route(f"/{path}", _file(file.content, file.kind)) for path, file in page_files().items()]
    return Guard(Starlette(routes=routes, lifespan=lifespan), door)


def _endpoint(answer: Answer) -> Callable[["Request"], Awaitable["Response"]]:
    async def endpoint(request: "Request") -> "Response":
        try:
            return _json(await answer(request.query_params))
        except (RequestError, StoreError) as error:
            return _complaint(error)

    return endpoint


def _text(value: dict[str, Any]) -> str:
    # ASCII only: half of a character pair, which JSON can name, is no text that could be sent
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _json(text: str, status: int = 200) -> "Response":
    from starlette.responses import Response

    return Response(text, status, media_type="application/json")


def _complaint(error: Exception) -> "Response":
    absent = isinstance(error, UnknownNameError) and error.args[0] in (trial_page.TRIAL, NETWORK)
    status = 503 if isinstance(error, StoreError) else 404 if absent else 422
    return _json(_text({"error": short(error, 2_000)}), status)


def _network(dashboard: Dashboard) -> Callable[["Request"], Awaitable["Response"]]:
    from starlette.responses import Response

    # a picture styles itself and may do nothing else, also where it is opened alone
    headers = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}

    async def endpoint(request: "Request") -> Response:
        try:
            picture = await dashboard.network(request.query_params)
        except (RequestError, StoreError) as error:
            return _complaint(error)
        return Response(picture, headers=headers, media_type="image/svg+xml")

    return endpoint


def _events(feed: Feed, is_closing: Callable[[], bool]) -> Callable[["Request"], Awaitable["Response"]]:
    from starlette.responses import Response, StreamingResponse

    async def endpoint(request: "Request") -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if feed.is_full:
            return _complaint(StoreError("too many pages watch this dashboard"))
        return StreamingResponse(feed.messages(is_closing), media_type="text/event-stream")

    return endpoint


def _file(content: bytes, kind: str) -> Callable[["Request"], Awaitable["Response"]]:
    from starlette.responses import Response

    async def endpoint(request: "Request") -> Response:
        return Response(content, headers={"content-type": kind})

    return endpoint
