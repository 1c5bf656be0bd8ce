"""The process that asks the network for ONVIF cameras: `python -m railwatch.app.camera_probe SECONDS`.

A line of JSON for each that answers: `addresses` and `scopes`.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Final

CAMERA: Final = ("http://www.onvif.org/ver10/network/wsdl", "NetworkVideoTransmitter")


def main() -> None:
    """Ask, listen, print."""
    from wsdiscovery import QName
    from wsdiscovery.discovery import ThreadedWSDiscovery

    asking = ThreadedWSDiscovery()
    asking.start()
    found = asking.searchServices(types=[QName(*CAMERA)], timeout=float(sys.argv[1]))
    for service in found:
        # A device may have sent anything: what cannot be read is left out, the others are told.
        with suppress(AttributeError, TypeError, ValueError):
            scopes = [str(scope.getValue()) for scope in service.getScopes() or ()]
            addresses = [str(address) for address in service.getXAddrs() or ()]
            sys.stdout.write(json.dumps({"addresses": addresses, "scopes": scopes}) + "\n")
    asking.stop()


if __name__ == "__main__":
    main()
