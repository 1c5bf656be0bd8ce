"""A GPIO line, on a chip that exists in memory only; names and settings are those of the real library."""

from __future__ import annotations

import errno
import sys

import gpiod
import pytest
from gpiod.line import Direction, Value

from railwatch.core.errors import InstallError, RelayError
from railwatch.relay.gpio import GpioOutput


class Request:
    def __init__(self):
        self.levels, self.released, self.stuck, self.broken = [], False, None, False

    def set_value(self, line, value):
        assert line == 17
        if self.broken:
            raise OSError(errno.ENODEV, "the chip is gone")
        self.levels.append(value)

    def get_value(self, line):
        assert line == 17
        return self.levels[-1] if self.stuck is None else self.stuck

    def release(self):
        self.released = True


class Chip:
    """Stands in for the module gpiod; what is requested is checked by the real LineSettings."""

    line, LineSettings = gpiod.line, gpiod.LineSettings

    def __init__(self, error=None):
        self.request, self.error, self.asked = Request(), error, None

    def request_lines(self, path, consumer, config):
        if self.error is not None:
            raise self.error
        self.asked = (path, consumer, config)
        return self.request


def test_the_line_is_requested_as_an_inactive_output():
    chip = Chip()
    GpioOutput("/dev/gpiochip0", 17, active_low=True, gpiod=chip)
    path, consumer, config = chip.asked
    assert (path, consumer, list(config)) == ("/dev/gpiochip0", "railwatch-relay", [17])
    assert (config[17].direction, config[17].output_value) == (Direction.OUTPUT, Value.INACTIVE)
    assert config[17].active_low is True
    GpioOutput("/dev/gpiochip0", 17, gpiod=chip)
    assert chip.asked[2][17].active_low is False


def test_energised_is_active_and_everything_else_is_not():
    chip = Chip()
    output = GpioOutput("/dev/gpiochip0", 17, gpiod=chip)
    for energised in (False, True, True, False):
        output.set(energised)
    assert chip.request.levels == [Value.INACTIVE, Value.ACTIVE, Value.ACTIVE, Value.INACTIVE]
    output.set(True)
    output.drop()
    assert chip.request.levels[-1] is Value.INACTIVE
    output.set(True)
    output.close()
    assert chip.request.levels[-1] is Value.INACTIVE
    assert chip.request.released


def test_a_pulse_changes_at_every_beat_and_rests_inactive():
    chip = Chip()
    output = GpioOutput("/dev/gpiochip0", 17, pulse=True, gpiod=chip)
    for energised in (True, True, True, False, False, True):
        output.set(energised)
    high, low = Value.ACTIVE, Value.INACTIVE
    assert chip.request.levels == [high, low, high, low, low, high]


def test_a_line_that_does_not_follow_is_a_fault():
    chip = Chip()
    output = GpioOutput("/dev/gpiochip0", 17, gpiod=chip)
    chip.request.stuck = Value.INACTIVE
    output.set(False)
    with pytest.raises(RelayError, match=r"line 17 of /dev/gpiochip0 must be .*, but reads"):
        output.set(True)


def test_a_chip_that_goes_is_a_fault_and_closing_it_is_none():
    chip = Chip()
    output = GpioOutput("/dev/gpiochip0", 17, gpiod=chip)
    chip.request.broken = True
    with pytest.raises(RelayError, match=r"cannot be set: .*the chip is gone"):
        output.set(False)
    output.drop()
    output.close()
    assert chip.request.released


def test_a_chip_that_cannot_be_had_is_told():
    with pytest.raises(RelayError, match=r"line 17 of /dev/gpiochip0 must be free to be an output, but: .*busy"):
        GpioOutput("/dev/gpiochip0", 17, gpiod=Chip(OSError(errno.EBUSY, "busy")))


def test_the_real_library_tells_of_a_chip_that_is_not_there():
    with pytest.raises(RelayError, match="No such file"):
        GpioOutput("/dev/there-is-no-gpiochip", 0)


def test_a_missing_library_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(InstallError, match=r"pip install 'railwatch\[relay\]'"):
        GpioOutput("/dev/gpiochip0", 17)
