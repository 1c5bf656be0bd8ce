"""A hub that only tells: ``python -m tests.hub_process`` publishes the state of section s1 of the site yard.

It prints the two endpoints, then reads words from standard input: clear, occupied, unknown, or end. Ports may be given,
so that a second one takes the place of the first.
"""

from __future__ import annotations

import select
import sys

from railwatch.core.alerts import Epoch, SectionState
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.publisher import Publisher


def main(bind: str, request_bind: str) -> None:
    """Publish until standard input ends."""
    body = StatusBody({"s1": SectionState.CLEAR})
    with Publisher(site_id="yard", epoch=Epoch("j", 1), body=body, bind=bind, request_bind=request_bind) as publisher:
        sys.stdout.write(f"{publisher.endpoint} {publisher.request_endpoint}\n")
        sys.stdout.flush()
        while True:
            if select.select([sys.stdin], [], [], 0.2)[0]:
                word = sys.stdin.readline().strip()
                if word in ("", "end"):
                    return
                body = StatusBody({"s1": SectionState(word.upper())})
            publisher.set_status(body)


if __name__ == "__main__":
    main(*(sys.argv[1:3] or ["tcp://127.0.0.1:*", "tcp://127.0.0.1:*"]))
