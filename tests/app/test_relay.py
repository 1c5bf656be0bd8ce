"""The whole relay: a hub, the command as users start it, and a Modbus device whose coil must fall."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zmq

from railwatch.app.relay import KeeperProcess, RelayState, Settling, follow
from railwatch.app.relay_options import CommandTarget, GpioTarget, ModbusTarget, open_output, target_to_text
from railwatch.core.alerts import Epoch, SectionState, Status
from railwatch.core.errors import ConfigError, RelayError
from railwatch.messaging.wire import encode_status, status_topic
from railwatch.relay.command import CommandOutput
from tests.relay.device import Device

FALL_S = 15.0
"""Within so many seconds the output has fallen, on however busy a machine; benchmarks/relay_fall.py tells how fast."""

WAIT_S = 30.0


class Hub:
    """A hub process of `tests.hub_process`."""

    def __init__(self, *endpoints):
        command = [sys.executable, "-m", "tests.hub_process", *endpoints]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.endpoint, self.request_endpoint = self.process.stdout.readline().decode().split()

    def say(self, word):
        self.process.stdin.write(f"{word}\n".encode())

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Relay:
    """`railwatch relay` with a coil of `device`."""

    def __init__(self, hub, device, *options):
        command = [sys.executable, "-m", "railwatch", "relay", "--section", "s1", "--connect", hub.endpoint]
        command += ["--request-connect", hub.request_endpoint, "--modbus", f"127.0.0.1:{device.port}", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def keeper(self):
        """The process that holds the output: the only child."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def end(self):
        for pid in (*self.keeper(), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self.process.terminate()
        said = self.process.communicate(timeout=WAIT_S)[0].decode()
        return self.process.returncode, said


@pytest.fixture
def hub():
    made = Hub()
    yield made
    made.end()


@pytest.fixture
def device():
    with Device() as made:
        yield made


@pytest.fixture
def relay(hub, device):
    made = Relay(hub, device, "--settle", "0.2")
    yield made
    if made.process.poll() is None:
        made.end()
    made.process.stdout.close()


def energised(device):
    """Wait until the coil is energised."""
    wait(device.energised, WAIT_S)


def fallen(device, within_s=FALL_S):
    """Wait until the coil has fallen."""
    wait(lambda: not device.energised(), within_s)


def wait(condition, within_s):
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it took too long"
        time.sleep(0.01)


def stays_fallen(device, for_s=1.0):
    deadline_s = time.monotonic() + for_s
    while time.monotonic() < deadline_s:
        assert not device.energised()
        time.sleep(0.01)


def test_it_follows_the_section_and_ends_de_energised(hub, device, relay):
    energised(device)
    for word in ("occupied", "unknown"):
        hub.say(word)
        fallen(device)
        stays_fallen(device, 0.3)
        hub.say("clear")
        energised(device)
    code, said = relay.end()
    assert not device.energised()
    assert code == 0
    lines = said.splitlines()
    assert "energised: clear" in lines
    assert "DE-ENERGISED: s1 OCCUPIED" in lines
    assert "DE-ENERGISED: s1 UNKNOWN" in lines


def test_a_frozen_hub_lets_it_fall_until_a_fresh_echo(hub, device, relay):
    energised(device)
    hub.signal(signal.SIGSTOP)
    fallen(device)
    stays_fallen(device)
    hub.signal(signal.SIGCONT)
    energised(device)


def test_after_the_death_of_the_hub_nobody_without_a_fresh_echo_energises_it(hub, device, relay):
    energised(device)
    hub.end()
    fallen(device)
    with zmq.Context() as context, context.socket(zmq.PUB) as impostor:
        impostor.linger = 0
        impostor.bind(hub.endpoint)
        status = Status("yard", Epoch("j", 1), 0, ("old-nonce",), {"s1": SectionState.CLEAR}, {}, (), (), "")
        deadline_s = time.monotonic() + 2.5
        while time.monotonic() < deadline_s:
            impostor.send_multipart([status_topic("yard"), encode_status(status)])
            assert not device.energised()
            time.sleep(0.02)
    again = Hub(hub.endpoint, hub.request_endpoint)
    energised(device)
    again.end()


def test_a_frozen_client_lets_it_fall_and_wakes_without_energising_on_what_is_old(hub, device, relay):
    energised(device)
    relay.process.send_signal(signal.SIGSTOP)
    fallen(device)
    hub.say("occupied")
    stays_fallen(device, 2.0)
    relay.process.send_signal(signal.SIGCONT)
    stays_fallen(device, 1.5)
    hub.say("clear")
    energised(device)


def test_a_client_that_is_killed_lets_it_fall(hub, device, relay):
    energised(device)
    relay.process.kill()
    fallen(device)
    relay.process.wait()


def test_a_frozen_keeper_is_ended_and_its_successor_begins_de_energised(hub, device, relay):
    energised(device)
    (frozen,) = relay.keeper()
    os.kill(frozen, signal.SIGSTOP)
    fallen(device)
    energised(device)
    assert frozen not in relay.keeper()
    assert "DE-ENERGISED: the keeper of the output said nothing for 1 s and was ended" in relay.end()[1]


def test_a_keeper_that_is_killed_is_replaced(hub, device, relay):
    energised(device)
    (killed,) = relay.keeper()
    os.kill(killed, signal.SIGKILL)
    wait(lambda: relay.keeper() not in ([killed], []), WAIT_S)
    fallen(device)
    energised(device)


def test_both_frozen_only_the_watchdog_of_the_device_is_left(hub, relay, device):
    energised(device)
    device.watchdog_s = 1.0
    os.kill(relay.keeper()[0], signal.SIGSTOP)
    relay.process.send_signal(signal.SIGSTOP)
    fallen(device)


def test_a_device_that_is_gone_is_told_and_found_again(hub, device, relay):
    energised(device)
    device.refusing = True
    time.sleep(0.5)
    device.refusing = False
    energised(device)
    assert "must take what is written" in relay.end()[1]


HEARD = "import sys\nfor line in sys.stdin:\n print(line.strip(), file=open(sys.argv[1], 'a'))"


def test_a_program_drives_the_relay(hub, tmp_path):
    path = tmp_path / "heard"
    command = [sys.executable, "-m", "railwatch", "relay", "--section", "s1", "--settle", "0"]
    command += ["--connect", hub.endpoint, "--request-connect", hub.request_endpoint]
    process = subprocess.Popen([*command, "--", sys.executable, "-c", HEARD, str(path)], stdout=subprocess.DEVNULL)
    wait(lambda: path.exists() and "CLEAR" in path.read_text(), WAIT_S)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 0
    assert path.read_text().split()[-1] == "ALARM"


def test_settling_waits_and_begins_anew():
    settling = Settling(1.0)
    never = float("-inf")
    assert settling.until_s(1.5, 0.0) == never
    assert settling.until_s(2.5, 0.99) == never
    assert settling.until_s(3.5, 1.0) == 3.5
    assert settling.until_s(2.0, 2.0) == never
    assert settling.until_s(4.0, 2.5) == never
    assert settling.until_s(4.5, 3.5) == 4.5
    settling.begin_anew()
    assert settling.until_s(5.5, 4.0) == never
    assert settling.until_s(5.5, 5.0) == 5.5
    assert Settling(0.0).until_s(0.1, 0.0) == 0.1


def test_an_output_that_cannot_be_had_is_told_at_once():
    with pytest.raises(RelayError, match="must be free to be an output"):
        KeeperProcess(GpioTarget("/dev/there-is-no-gpiochip", 0))


def test_a_target_survives_its_text(tmp_path):
    output = open_output(target_to_text(CommandTarget((sys.executable, "-c", "input()"))))
    assert isinstance(output, CommandOutput)
    output.close()
    with Device() as device:
        modbus = open_output(target_to_text(ModbusTarget("127.0.0.1", device.port, 1, 7, 3)))
        modbus.set(True)
        assert device.energised(7)
        modbus.close()


def test_no_sections_would_always_be_clear_and_are_refused():
    with pytest.raises(ConfigError, match="at least one section"):
        follow(None, (), None, 0.0, lambda _: None)


def test_what_is_told_is_a_value():
    assert RelayState(True, "clear") == RelayState(True, "clear")
