"""The second look in a running hub, with a file of `classifiers export`: it raises, and takes nothing away."""

from __future__ import annotations

import hashlib
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from railwatch.app.replay import replay_file
from railwatch.app.second_look_check import second_look_faults
from railwatch.core.alerts import Action, AlertKind, Severity
from railwatch.core.second_look import SecondLookSettings
from tests.hub_rig import RunningHub, alive, wait_until, write_site

ANIMALS = "groups: {animal: [person]}\nalarm_groups: [animal]\nself_test: {interval_s: 0}\n"
TAXA = ("Aves", "Fungi", "Insecta")
NAME = "railwatch.app.second_look_process"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small network that `classifiers` trained and exported."""
    pytest.importorskip("torch", reason="classifiers needs torch")
    from classifiers.config import NetworkConfig, TrainConfig
    from classifiers.data import open_data
    from classifiers.engine import fit
    from classifiers.export import export
    from tests.classifiers.conftest import fill

    folder = tmp_path_factory.mktemp("exported")
    data = open_data(fill(folder / "pictures", 12), cache=folder / "cache")
    network = NetworkConfig(blocks=1, filters=4, dense=(8,), input_size=16, classes=len(TAXA))
    fit(network, TrainConfig(epochs=2, batch=16, rate=0.01, device="cpu"), data, folder / "run")
    return export(folder / "run", data, folder / "classifier.onnx").path


def with_second_look(site_file, path, **keys):
    """The site with the exported file, any answer of which raises."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    given = {"file": path, "sha256": f'"{sha256}"', "least_confidence": 0.0, "herd_taxa": "[Aves, Fungi, Insecta]"}
    text = "".join(f"  {key}: {value}\n" for key, value in {**given, "every_s": 0.2, **keys}.items())
    site_file.write_text(f"{site_file.read_text(encoding='utf-8')}{ANIMALS}second_look:\n{text}", encoding="utf-8")
    return site_file


def test_the_file_of_an_export_is_trusted(exported):
    settings = SecondLookSettings(str(exported), None, 0.5, TAXA)
    assert second_look_faults(settings) == []


def process_of(hub):
    """The one process of the second look, as soon as it is there."""
    found = []

    def there():
        found[:] = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and mine(entry)]
        return found

    def mine(entry):
        with suppress(OSError):
            parent = int((entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            return parent in hub.workers() and NAME in (entry / "cmdline").read_text(encoding="utf-8")
        return False

    wait_until(there, what="a process of the second look")
    return found[0]


def out(hub, number, after):
    """The process gets a signal; the number of the line that tells of it, plus 1."""
    os.kill(process_of(hub), number)
    told = hub.wait_line("NOTICE SYSTEM OPENED", after=after)
    assert "the second look at animals is out, alarms go on without it" in hub.lines[told - 1]
    return told


def test_whatever_befalls_it_no_alarm_is_missing_later_or_lower(tmp_path, exported):
    site_file, record = write_site(tmp_path), tmp_path / "inputs.jsonl"
    plain = tmp_path / "plain.yaml"
    plain.write_text(site_file.read_text(encoding="utf-8") + ANIMALS, encoding="utf-8")
    with RunningHub(with_second_look(site_file, exported), "--record", str(record)) as hub:
        told = hub.wait_line("one severity up")
        assert hub.lines[told - 1].startswith("EMERGENCY INTRUSION ")
        told = out(hub, signal.SIGSTOP, told)
        told = hub.wait_line("NOTICE SYSTEM CLOSED", after=told)
        told = out(hub, signal.SIGKILL, told)
        last = process_of(hub)  # it was started again
        site_file.write_text(plain.read_text(encoding="utf-8"), encoding="utf-8")
        hub.send(signal.SIGHUP)
        hub.wait_line("NOTICE SYSTEM CLOSED", after=told)  # a site without one has none that is out
        wait_until(lambda: not alive(last), what="the end of what is not needed any more")
        hub.stop()
    without, with_it = alerts_of(record, plain), alerts_of(record, None)
    assert len(without) >= 4
    for at_s, alert in without:
        like = [a for s, a in with_it if s == at_s and key_of(a) == key_of(alert)]
        assert like, (at_s, alert)
        assert like[0].severity >= alert.severity
        assert like[0].action is alert.action or alert.action not in (Action.OPENED, Action.CLOSED)
    extra = [a for _, a in with_it if a.kind is AlertKind.INTRUSION and a.severity is Severity.EMERGENCY]
    assert any(item.taxon in TAXA for a in extra for item in a.objects)
    assert not [a for _, a in without if a.severity is Severity.EMERGENCY]


def alerts_of(record, config):
    """What a recording is decided to, with its own site or another: when, and the alert."""
    found = []
    replay_file(record, config, lambda alert, at_s: found.append((at_s, alert)))
    return found


def key_of(alert):
    return alert.kind, alert.section_id, alert.fault


def test_a_file_that_cannot_be_trusted_is_refused_before_anything_starts(tmp_path):
    from tests.classifier_file import write_classifier

    write_classifier(tmp_path / "c.onnx", without=("format",))
    site_file = with_second_look(write_site(tmp_path / "site"), tmp_path / "c.onnx", herd_taxa="[Mammalia]")
    with RunningHub(site_file) as hub:
        assert hub.process.wait(60.0) == 2
        wait_until(lambda: hub.lines, what="the reason")
    (line,) = hub.lines
    assert line.startswith("railwatch: site.yaml must not be armed: ")
    assert "second_look.file: given " in line
    assert "must be written by `classifiers export`, format 1, but has no such metadata" in line
