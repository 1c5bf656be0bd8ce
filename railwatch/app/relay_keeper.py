"""The process that holds a relay's output: ``python -m railwatch.app.relay_keeper TARGET``, started by `app.relay`.

It reads from standard input until when the output may be energised, and says on standard output what it did, a line a
beat: ``1`` energised, ``0`` not, ``! REASON`` a fault of the output. If the output cannot be opened, the only line is
``? EXIT_CODE REASON``.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial

from railwatch.app.relay_options import open_output
from railwatch.core.clock import elapsed_s
from railwatch.core.errors import RailwatchError
from railwatch.relay.keeper import STALLED, serve
from railwatch.relay.output import Output


def main(target: str) -> int:
    """Hold the output until standard input ends; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent: it ends us by closing our input
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # What a device does wrong is in our own reports, a line a beat; pymodbus would add its dump of the last frames.
    logging.getLogger("pymodbus").addHandler(logging.NullHandler())
    try:
        output = open_output(target)
    except RailwatchError as error:
        sys.stdout.write(f"? {error.exit_code} {' '.join(str(error).split())}\n")
        return error.exit_code
    serve(output, sys.stdin.fileno(), sys.stdout.fileno(), elapsed_s, partial(_stalled, output))
    return 0


def _stalled(output: Output) -> None:
    """The output hangs: let it fall and end at once; the parent starts another keeper."""
    output.drop()
    os._exit(STALLED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
