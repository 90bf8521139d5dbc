"""The packages of each worker against those of the notebook."""

import socket
import sys
from importlib.metadata import packages_distributions

from distributed import Client
from distributed.comm import get_address_host
from distributed.versions import get_versions

from takehome.errors import TakehomeError


class Versions:
    """What this process has imported so far, and whom it has been compared with."""

    def __init__(self) -> None:
        owners = packages_distributions()
        self._imported = {package for name in sys.modules if "." not in name for package in owners.get(name, ())}
        self._here: dict[str, str | None] = get_versions(self._imported)["packages"]
        self._checked: set[str] = set()

    def check(self, client: Client) -> None:
        """Compare the workers that have come since the last time.

        Raises
        ------
        TakehomeError
            One has another version of a package, or of Python, or lacks it.
        """
        come = client.nthreads().keys() - self._checked
        found = client.run(get_versions, self._imported, workers=list(come)) if come else {}
        for address, versions in found.items():
            for package, here in self._here.items():
                if (there := versions["packages"].get(package)) != here:
                    raise TakehomeError(_refusal(address, package, there, here))
        self._checked |= come


def _refusal(address: str, package: str, there: str | None, here: str | None) -> str:
    has = f"has {package} {there}; here is {here}" if there else f"lacks {package} {here}"
    return (
        f"Worker {socket.getfqdn(get_address_host(address))} {has}. Name the package in "
        "containers/python/environment.yml if it is not there; then: docker compose --profile cluster up --build."
    )
