"""Devices of a network for tests: two ONVIF cameras and a printer that answer WS-Discovery, or one that breaks rules.

    python tests/onvif_devices.py HOST [--hostile]

Prints READY and answers until it is ended. `--hostile` answers every question with what no reader should trust.
"""

from __future__ import annotations

import re
import socket
import sys

GROUP, PORT = "239.255.255.250", 3702
ANSWER = """<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"
 xmlns:o="http://www.onvif.org/ver10/network/wsdl"><s:Header><a:Action
>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action><a:MessageID>urn:uuid:{number}</a:MessageID>
<a:RelatesTo>{question}</a:RelatesTo><d:AppSequence InstanceId="{instance}" MessageNumber="1"/></s:Header>
<s:Body><d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:{device}</a:Address>
</a:EndpointReference><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes><d:XAddrs>{address}</d:XAddrs>
<d:MetadataVersion>1</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"""
SCOPES = "onvif://www.onvif.org/"
JUNK = (b"", b"<", b"<a/>", b"\xff" * 60000, b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')


def devices(host, *, hostile):
    """What each device answers."""
    camera, shared = "o:NetworkVideoTransmitter", f"{SCOPES}hardware/X1 {SCOPES}location/Platform%202 {SCOPES}Profile/S"
    if hostile:
        told = {"types": camera, "scopes": SCOPES + "name/&lt;b&gt;%1b%5b31m", "address": f"http://{host}/onvif"}
        return [told | {"instance": "1"}, told | {"instance": "none at all"}]
    named = [
        {
            "types": camera,
            "scopes": f"{SCOPES}name/{name} {shared}",
            "address": f"http://{host}:800{number}/onvif/service",
        }
        for number, name in ((1, "Gate%20east"), (2, "Yard%07%0A"))
    ]
    printer = {"types": "o:Printer", "scopes": "x://y", "address": f"http://{host}:9000/p"}
    return [told | {"instance": "1"} for told in (*named, printer)]


def main(host, *, hostile):
    """Answer every question."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("", PORT))
    membership = socket.inet_aton(GROUP) + socket.inet_aton(host)
    listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    count = 0
    while True:
        asked, back = listening.recvfrom(65535)
        found = re.search(rb"MessageID>([^<]+)<", asked)
        if found is None:
            continue
        for device, told in enumerate(devices(host, hostile=hostile)):
            count += 1
            text = ANSWER.format(number=count, device=device, question=found[1].decode(), **told)
            listening.sendto(text.encode(), back)
        for junk in JUNK if hostile else ():
            listening.sendto(junk, back)


if __name__ == "__main__":
    main(sys.argv[1], hostile="--hostile" in sys.argv)
