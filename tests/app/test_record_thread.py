from __future__ import annotations

import threading
from pathlib import Path

from railwatch.app.record import RecordHeader, read_record
from railwatch.app.record_site import site_to_mapping
from railwatch.app.record_thread import ThreadedRecorder
from railwatch.decision.inputs import Stamped, Tick
from tests.scenario import EPOCH, site

HEADER = RecordHeader(EPOCH, "f" * 64, 0.0, site_to_mapping(site()))


def test_inputs_are_written_in_their_order(tmp_path):
    path, told = tmp_path / "inputs.jsonl", []
    with ThreadedRecorder(path, HEADER, lambda *trouble: told.append(trouble)) as recorder:
        for number in range(500):
            recorder.write(Stamped(float(number), "", Tick(float(number))))
    assert [stamped.received_s for stamped in read_record(path)[1]] == list(map(float, range(500)))
    assert told == []


def test_a_disk_that_fails_ends_the_recording_and_nothing_else(tmp_path, monkeypatch):
    told, failed = [], threading.Event()

    def trouble(name, reason):
        told.append((name, reason))
        failed.set()

    with ThreadedRecorder(tmp_path / "inputs.jsonl", HEADER, trouble) as recorder:
        recorder._recorder._file._file.close()
        recorder._recorder._file._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - closed by it
        recorder.write(Stamped(0.0, "", Tick(0.0)))
        assert failed.wait(10.0)
        recorder.write(Stamped(1.0, "", Tick(1.0)))
    ((name, reason),) = told
    assert name == "record"
    assert "No space left" in reason
