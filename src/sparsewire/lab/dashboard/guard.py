"""Who may ask: this machine's own browser, for reading, under a name that we know."""

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_LONGEST_QUERY = 8_000


@dataclass(frozen=True)
class Door:
    """Under which names the server may be asked, and what a visitor must know.

    Args:
        port: the port in the address that visitors see.
        names: host names besides those of the loopback.
        any_address: whether numeric addresses will do too, as where all interfaces are listened on: a page elsewhere
            can point a name of its own at this machine, but not a number.
        token: what the first visit must bring in `?token=…`; None where nothing is asked for.
    """

    port: int
    names: frozenset[str] = frozenset()
    any_address: bool = False
    token: str | None = None

    def knows(self, host: str) -> bool:
        """Whether a request's `Host` is one of ours.

        Example:
            >>> door = Door(8765)
            >>> [door.knows(host) for host in ("localhost:8765", "[::1]:8765", "localhost", "evil.example:8765")]
            [True, True, False, False]
        """
        name, colon, port = host.rpartition(":")
        if not colon or port.endswith("]"):  # of port 80 browsers do not speak
            name, port = host, "80"
        if port != str(self.port):
            return False
        if name.lower() in {"localhost", "127.0.0.1", "[::1]"} | self.names:
            return True
        try:
            return self.any_address and bool(ipaddress.ip_address(name.removeprefix("[").removesuffix("]")))
        except ValueError:
            return False


class Guard:
    """Lets only those requests through that read, come from our own pages or an address bar, and know the token.

    Args:
        app: who answers them.
        door: who may ask.
    """

    def __init__(self, app: App, door: Door) -> None:
        self._app = app
        self._door = door
        self._cookie = f"sparsewire-{door.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a web socket, which the server then closes
        headers = _headers(scope["headers"])
        refusal = self._refusal(scope, headers)
        extra: list[tuple[bytes, bytes]] = list(_HEADERS)
        if refusal is None and self._door.token is not None:
            if self._brings(scope["query_string"]):
                kept = f"{self._cookie}={self._door.token}; Path=/; HttpOnly; SameSite=Strict"
                extra.append((b"set-cookie", kept.encode()))
            elif not self._remembers(headers.get(b"cookie", b"")):
                refusal = (403, "the dashboard asks for a token: open the address that `sparsewire dashboard` printed")

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                named = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in extra if pair[0] not in named)]
            await send(message)

        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            await _refuse(guarded, *refusal)

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        """The status and the reason of a request that is not answered."""
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._door.knows(host):
            return 400, (
                f"this is not a name of the dashboard; ask for localhost:{self._door.port} "
                f"(through ssh: ssh -L {self._door.port}:localhost:{self._door.port} HOST)"
            )
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"http://{host.lower()}":
            return 403, "another page may not ask the dashboard"
        foreign = headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin")
        if foreign and (headers.get(b"sec-fetch-mode"), headers.get(b"sec-fetch-dest")) != (b"navigate", b"document"):
            return 403, "another page may not ask the dashboard"
        if scope["method"] not in ("GET", "HEAD"):
            return 405, "the dashboard only reads: GET and HEAD"
        if len(scope["query_string"]) > _LONGEST_QUERY:
            return 414, f"the address is longer than {_LONGEST_QUERY:,} bytes"
        return None

    def _brings(self, query: bytes) -> bool:
        try:
            return self._is_token(parse_qs(query.decode("latin-1"), max_num_fields=100).get("token", [""])[0])
        except ValueError:  # more than a hundred fields
            return False

    def _remembers(self, cookie: bytes) -> bool:
        # by hand: every program on this machine sets cookies for it, and http.cookies stops at the first odd one
        pairs = (pair.strip().partition("=") for pair in cookie.decode("latin-1").split(";"))
        return any(name == self._cookie and self._is_token(value) for name, _, value in pairs)

    def _is_token(self, given: str) -> bool:
        # as bytes, and in a time that does not tell how many letters were right
        return hmac.compare_digest(given.encode(errors="replace"), (self._door.token or "").encode())


def _headers(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name; of one that comes twice nothing is believed."""
    found: dict[bytes, bytes] = {}
    for name, value in pairs:
        found[name] = value if name not in found or name == b"cookie" else b"\x00twice"
    return found


async def _refuse(send: Send, status: int, reason: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"allow", b"GET, HEAD")]
    await send({"type": "http.response.start", "status": status, "headers": headers[: 2 if status == 405 else 1]})
    await send({"type": "http.response.body", "body": f"{reason}\n".encode()})
