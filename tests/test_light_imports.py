"""The client and the command line load nothing heavy: a control room's computer has no OpenCV."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = {"numpy", "cv2", "onnxruntime", "av", "torch", "shapely"}
MESSAGING = ("client", "publisher", "wire", "schema", "belief", "ordering", "heartbeat", "outlet", "position")

HELP = """
import sys, runpy
sys.argv = ["railwatch", "--help"]
try:
    runpy.run_module("railwatch", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
"""


def loaded(root, code, *arguments):
    """Names of the top-level modules loaded after `code` ran."""
    code += "\nimport sys; sys.stderr.write('LOADED ' + ' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True,
        text=True, timeout=100, check=True,
    )  # fmt: skip
    return set(done.stderr.split("LOADED ")[1].split()), done.stdout


def test_the_client_and_the_command_line_are_light(root):
    names, _ = loaded(root, "import railwatch.messaging.client, railwatch.cli.main")
    assert "zmq" in names
    assert not names & HEAVY


@pytest.mark.parametrize("module", MESSAGING)
def test_all_of_messaging_is_light_and_knows_no_pydantic(root, module):
    names, _ = loaded(root, f"import railwatch.messaging.{module}")
    assert not names & (HEAVY | {"pydantic", "yaml", "typer", "rich"})


def test_help_is_light(root):
    names, out = loaded(root, HELP)
    assert "listen" in out
    assert not names & HEAVY
