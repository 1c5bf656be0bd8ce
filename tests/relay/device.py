"""A Modbus TCP device: a real server of pymodbus on loopback, in a thread, whose coils a test reads and spoils."""

from __future__ import annotations

import asyncio
import threading
import time

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

WRITE_COIL, WRITE_REGISTER = 5, 6


class Device:
    """Unit 1 with coils 0 to 15 and holding registers 1 to 15. Use it as a context manager.

    `stuck` is what a coil takes whatever is written; with `refusing` every request is answered by an exception. As a
    real module it has a watchdog: `energised` is False when nothing was written for `watchdog_s`.
    """

    def __init__(self, port=0, watchdog_s=float("inf")):
        self.port, self.watchdog_s = port, watchdog_s
        self.stuck, self.refusing = None, False
        self.coils, self.registers, self.written_s = {}, {}, time.monotonic()
        self._started = threading.Event()

    def energised(self, coil=0):
        return self.coils.get(coil, False) and time.monotonic() - self.written_s < self.watchdog_s

    def __enter__(self):
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(20.0)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(20.0)
        assert not self._thread.is_alive()

    async def _note(self, function, _start, address, _count, _registers, values):
        if self.refusing:
            return ExcCodes.DEVICE_FAILURE
        if values is None:  # a reading
            return None
        if function == WRITE_COIL:
            if self.stuck is not None:
                values[0] = self.stuck
            self.coils[address], self.written_s = bool(values[0]), time.monotonic()
        elif function == WRITE_REGISTER:
            self.registers[address] = values[0]
        return None

    async def _serve(self):
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        registers = SimData(0, count=16, values=0, datatype=DataType.REGISTERS)
        unit = SimDevice(1, [registers], use_bit_addressing=True, action=self._note)
        server = ModbusTcpServer(unit, address=("127.0.0.1", self.port))
        await server.listen()
        self.port = server.transport.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        await server.shutdown()
