"""An output that is a GPIO line of this machine, through libgpiod (Linux, the extra `relay`)."""

from __future__ import annotations

import contextlib
from typing import Any

from railwatch.core.errors import InstallError, RelayError


class GpioOutput:
    """One line of a GPIO chip, requested as an output that is inactive.

    Args:
        chip: Device file, ``/dev/gpiochip0``.
        line: Offset of the line on the chip.
        active_low: Energised is the low level.
        pulse: Energised is not a level but a change of level at every beat, ten a second: for a watchdog relay or a
            charge pump, which falls when the changes stop, whoever stopped them. A level stays if the machine freezes.
        gpiod: The library, or a stand-in.

    Raises:
        InstallError: The library is not installed.
        RelayError: The chip or line cannot be had.
    """

    def __init__(
        self,
        chip: str,
        line: int,
        *,
        active_low: bool = False,
        pulse: bool = False,
        gpiod: Any = None,  # noqa: ANN401 - a module
    ) -> None:
        library = _library() if gpiod is None else gpiod
        self._where, self._line, self._pulse = f"line {line} of {chip}", line, pulse
        values = library.line.Value
        self._active, self._inactive = values.ACTIVE, values.INACTIVE
        self._high = False
        settings = library.LineSettings(
            direction=library.line.Direction.OUTPUT, output_value=self._inactive, active_low=active_low
        )
        try:
            self._request = library.request_lines(chip, consumer="railwatch-relay", config={line: settings})
        except (OSError, ValueError) as error:
            raise RelayError(f"{self._where} must be free to be an output, but: {error}") from error

    def set(self, energised: bool) -> None:
        """Set the level and read it back. Raises RelayError when the line has not taken it."""
        self._high = energised and not (self._pulse and self._high)
        wanted = self._active if self._high else self._inactive
        try:
            self._request.set_value(self._line, wanted)
            found = self._request.get_value(self._line)
        except (OSError, ValueError) as error:
            raise RelayError(f"{self._where} cannot be set: {error}") from error
        if found != wanted:
            raise RelayError(f"{self._where} must be {wanted}, but reads {found}")

    def drop(self) -> None:
        """Set the line inactive."""
        with contextlib.suppress(Exception):
            self._request.set_value(self._line, self._inactive)

    def close(self) -> None:
        """Set the line inactive and give it back."""
        self.drop()
        with contextlib.suppress(Exception):
            self._request.release()


def _library() -> Any:  # noqa: ANN401 - a module
    try:
        import gpiod  # noqa: PLC0415 - an extra, wanted only where it is asked for
    except ImportError as error:
        raise InstallError("a GPIO relay needs libgpiod: pip install 'railwatch[relay]'") from error
    return gpiod
