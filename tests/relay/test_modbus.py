"""A coil of a real Modbus TCP server on loopback."""

from __future__ import annotations

import logging
import socket
import sys

import pytest

from railwatch.core.errors import InstallError, RelayError
from railwatch.relay.modbus import ModbusOutput
from tests.relay.device import Device


@pytest.fixture(autouse=True)
def quiet():
    """pymodbus logs what a device does wrong; here that is the point."""
    logger = logging.getLogger("pymodbus")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def test_opening_de_energises_and_each_word_is_taken_and_read_back():
    with Device() as device:
        device.coils[3] = True
        output = ModbusOutput("127.0.0.1", device.port, 1, 3)
        assert not device.energised(3)
        for energised in (True, True, False, True):
            output.set(energised)
            assert device.energised(3) is energised
        assert device.registers == {}
        output.close()
        assert not device.energised(3)


def test_the_heartbeat_register_counts_on_and_round():
    with Device() as device:
        output = ModbusOutput("127.0.0.1", device.port, 1, 0, 5)
        counted = []
        for number in range(3):
            output.set(number == 1)
            counted.append(device.registers[5])
        assert counted == [2, 3, 4]
        output._beats = 65535
        output.set(False)
        assert device.registers[5] == 0
        output.close()


def test_a_coil_that_does_not_follow_is_a_fault():
    with Device() as device:
        output = ModbusOutput("127.0.0.1", device.port, 1, 3)
        device.stuck = False
        with pytest.raises(RelayError, match=r"coil 3 of 127.0.0.1:\d+ must be energised, but reads de-energised"):
            output.set(True)
        device.stuck = True
        with pytest.raises(RelayError, match="must be de-energised, but reads energised"):
            output.set(False)
        device.stuck = None
        output.close()


def test_a_device_that_answers_with_an_exception_is_a_fault():
    with Device() as device:
        output = ModbusOutput("127.0.0.1", device.port, 1, 3)
        device.refusing = True
        with pytest.raises(RelayError, match="must take what is written, but the device answers"):
            output.set(True)
        output.close()
        with pytest.raises(RelayError, match="must take what is written"):
            ModbusOutput("127.0.0.1", device.port, 1, 3)


def test_a_device_that_goes_and_comes_back_is_set_again():
    with Device() as device:
        output = ModbusOutput("127.0.0.1", device.port, 1, 3)
        output.set(True)
    with pytest.raises(RelayError, match=r"must answer, but|must be reachable"):
        output.set(True)
    with pytest.raises(RelayError, match="must be reachable, but does not answer"):
        output.set(True)
    with Device(port=device.port) as again:
        output.set(True)
        assert again.energised(3)
        output.drop()
        output.set(False)
        assert not again.energised(3)
        output.close()


def test_a_device_that_takes_and_never_answers_is_a_fault_in_bounded_time():
    with socket.create_server(("127.0.0.1", 0)) as deaf, pytest.raises(RelayError, match="must answer, but"):
        ModbusOutput("127.0.0.1", deaf.getsockname()[1], 1, 3)


def test_what_was_never_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(RelayError, match="must be reachable, but does not answer"):
        ModbusOutput("127.0.0.1", port, 1, 3)
    with pytest.raises(RelayError, match="must name a device that is known, but 'no such host'"):
        ModbusOutput("no such host", 502, 1, 3)


def test_a_missing_library_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymodbus.client", None)
    with pytest.raises(InstallError, match=r"pip install 'railwatch\[relay\]'"):
        ModbusOutput("127.0.0.1", 502, 1, 3)
