"""Serving the dashboard: on this machine alone, unless another address was asked for, and then with a token."""

import contextlib
import ipaddress
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from sparsewire.errors import RequestError
from sparsewire.lab.dashboard.app import application
from sparsewire.lab.dashboard.guard import Door


def serve(root: Path, host: str, port: int, with_token: bool, say: Callable[[str], None]) -> None:
    """Serves until it is interrupted.

    Args:
        root: the store's folder; it is only read, and may come into being later.
        host: the address to listen on; any other than the loopback's asks visitors for a token.
        port: 0 takes a free one.
        with_token: whether visitors need a token on the loopback too, as on a machine with other users.
        say: is told the address.

    Raises:
        RequestError: uvicorn or starlette is missing, or the address cannot be listened on.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as cause:
        raise RequestError(f"the dashboard needs {cause.name}; pip install 'sparsewire[dash]'") from None
    listening = _listen(host, port)
    with contextlib.closing(listening):
        door = door_of(host, listening.getsockname()[1], with_token)
        server: uvicorn.Server | None = None
        app = application(root, door, is_closing=lambda: server is not None and server.should_exit)
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="error", access_log=False, server_header=False, date_header=False, ws="none",
                timeout_graceful_shutdown=2, limit_concurrency=500, h11_max_incomplete_event_size=32_768,
                proxy_headers=False, lifespan="on",
            )
        )  # fmt: skip
        say(f"dashboard of {root}: {address_of(host, door)}")
        say(
            "only this machine can see it; Ctrl-C ends it"
            if not _is_open(host)
            else "whoever has this address can see it"
        )
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it has ended
            server.run(sockets=[listening])


def door_of(host: str, port: int, with_token: bool) -> Door:
    """Who may ask a server on that address.

    Example:
        >>> door_of("127.0.0.1", 8765, False).token is None, len(door_of("0.0.0.0", 8765, False).token) > 20
        (True, True)
    """
    name = f"[{host}]" if ":" in host else host.lower()
    everywhere = host in ("0.0.0.0", "::")
    own = {socket.gethostname().lower(), socket.getfqdn().lower()} if _is_open(host) else set()
    token = secrets.token_urlsafe(24) if with_token or _is_open(host) else None
    return Door(port, frozenset({name} | own), everywhere, token)


def address_of(host: str, door: Door) -> str:
    """What to open in a browser.

    Example:
        >>> address_of("127.0.0.1", Door(8765)), address_of("::1", Door(8765, token="abc"))
        ('http://127.0.0.1:8765/', 'http://[::1]:8765/?token=abc')
    """
    name = socket.gethostname() if door.any_address else f"[{host}]" if ":" in host else host
    return f"http://{name}:{door.port}/" + (f"?token={door.token}" if door.token else "")


def _is_open(host: str) -> bool:
    """Whether others than this machine can reach the address."""
    if host.lower() == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1" if host.lower() == "localhost" else host, port))
        listening.listen(128)
    except (OSError, OverflowError) as cause:
        listening.close()
        told = getattr(cause, "strerror", None) or cause
        raise RequestError(
            f"cannot listen on {host}:{port}: {told}; name another --port, or 0 for a free one"
        ) from None
    listening.setblocking(False)
    return listening
