"""An output that is a coil of a Modbus TCP device (the extra `relay`)."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Final

from railwatch.core.errors import InstallError, RelayError

TIMEOUT_S: Final = 0.4
"""Longest wait for a connection and for each answer; a device on the same network answers within milliseconds."""

_REGISTER_VALUES: Final = 65536


class ModbusOutput:
    """One coil, written at every beat and read back.

    The writing again and again is what keeps the device's own watchdog quiet. Switch it on in the device, with a time
    of one to two seconds and outputs off: only so the coil falls when the network or this machine is gone.

    Args:
        host: Name or address of the device; looked up once.
        port: Its TCP port, usually 502.
        unit: Its unit identifier, 0 to 247.
        coil: Address of the coil, from 0.
        heartbeat_register: A holding register that gets a number of one more at every beat, for devices whose
            watchdog wants that.

    Raises:
        InstallError: The library is not installed.
        RelayError: The name is not known, or the device refuses the coil.
    """

    def __init__(self, host: str, port: int, unit: int, coil: int, heartbeat_register: int | None = None) -> None:
        client, self._failures = _library()
        self._unit, self._coil, self._register = unit, coil, heartbeat_register
        self._where = f"coil {coil} of {host}:{port}"
        self._beats = 0
        try:
            address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
        except OSError as error:
            raise RelayError(f"--modbus must name a device that is known, but {host!r}: {error}") from error
        self._client = client(str(address), port=port, timeout=TIMEOUT_S, retries=0)
        try:
            self.set(energised=False)
        except RelayError:
            self._client.close()
            raise

    def set(self, energised: bool) -> None:
        """Write the coil, read it back, and keep the device's watchdog quiet. Raises RelayError when one fails."""
        try:
            if not self._client.connected and not self._client.connect():
                raise RelayError(f"{self._where} must be reachable, but does not answer")
            self._check(self._client.write_coil(self._coil, energised, device_id=self._unit))
            found = self._check(self._client.read_coils(self._coil, count=1, device_id=self._unit)).bits[0]
            if self._register is not None:
                self._beats = (self._beats + 1) % _REGISTER_VALUES
                self._check(self._client.write_register(self._register, self._beats, device_id=self._unit))
        except self._failures as error:
            self._client.close()
            raise RelayError(f"{self._where} must answer, but: {error}") from error
        if bool(found) is not energised:
            raise RelayError(f"{self._where} must be {_word(energised)}, but reads {_word(bool(found))}")

    def drop(self) -> None:
        """Close the connection: the device's watchdog lets the coil fall."""
        with contextlib.suppress(Exception):
            self._client.close()

    def close(self) -> None:
        """De-energise, as well as can be, and end the connection."""
        with contextlib.suppress(RelayError):
            self.set(energised=False)
        self._client.close()

    def _check(self, answer: Any) -> Any:  # noqa: ANN401 - an answer of pymodbus
        if answer.isError():
            raise RelayError(f"{self._where} must take what is written, but the device answers: {answer}")
        return answer


def _word(energised: bool) -> str:
    return "energised" if energised else "de-energised"


def _library() -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        from pymodbus.client import ModbusTcpClient  # noqa: PLC0415 - an extra, wanted only where it is asked for
        from pymodbus.exceptions import ModbusException  # noqa: PLC0415
    except ImportError as error:
        raise InstallError("a Modbus relay needs pymodbus: pip install 'railwatch[relay]'") from error
    return ModbusTcpClient, (ModbusException, OSError)
