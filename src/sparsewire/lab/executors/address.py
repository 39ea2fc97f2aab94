"""Workers that others have started: a scheduler at an address."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from sparsewire.errors import RequestError
from sparsewire.lab.executors.quiet import connected


class Address:
    """A scheduler that is not ours; one order at a time goes to each of its workers, whatever their threads.

    Args:
        address: e.g. "tcp://127.0.0.1:8786", or "tls://10.1.2.3:8786" with dask's own settings of certificates.
        insecure: allows tcp:// to other machines.

    Raises:
        RequestError: the address is none, or is another machine's without TLS.

    Example:
        >>> Address("tcp://127.0.0.1:8786").name
        'the workers of tcp://127.0.0.1:8786'
        >>> Address("tcp://10.1.2.3:8786")
        Traceback (most recent call last):
        sparsewire.errors.RequestError: executor: found tcp://10.1.2.3:8786, which is reached without TLS: ...
    """

    size = None
    patience = None

    def __init__(self, address: str, *, insecure: bool = False) -> None:
        scheme, host, port = _parts(address)
        if not (scheme in ("tcp", "tls") and host and port):
            raise RequestError(f"executor: found {address!r}, expected tcp://HOST:PORT or tls://HOST:PORT")
        if scheme == "tcp" and not insecure and not _is_loopback(host):
            raise RequestError(
                f"executor: found {address}, which is reached without TLS: whoever can reach such a scheduler can run "
                f"any code as the user of its workers; start it with TLS and name tls://{host}:{port}, or write "
                f"insecure+{address} where nobody else is in that network"
            )
        self.name = f"the workers of {address}"
        self._address = address

    async def open(self) -> Any:
        """Connects."""
        try:
            return await connected(self._address)
        except OSError as cause:
            raise RequestError(f"no dask scheduler answers at {self._address}: {cause}") from None
        except (TypeError, ValueError, RuntimeError) as cause:  # TLS without certificates
            raise RequestError(
                f"cannot connect to {self._address}: {cause}; the certificates are named in dask's configuration, "
                "distributed.comm.tls.client.key, .client.cert and .ca-file"
            ) from None

    async def shut(self) -> None:
        """Nothing of it is ours."""

    def kill(self) -> None:
        """Nothing of it is ours."""


def _parts(address: str) -> tuple[str, str, int]:
    try:
        found = urlsplit(address)
        return found.scheme, found.hostname or "", found.port or 0
    except ValueError:  # a port that is no number
        return "", "", 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
