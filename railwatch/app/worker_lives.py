"""What the hub remembers of its worker groups and of the worker that serves each of them now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from railwatch.app.restarts import Restarts
from railwatch.app.worker_process import WorkerProcess
from railwatch.seam.commands import Answer
from railwatch.seam.orders import WorkerOrder

SILENT_S: Final = 1.5
"""Silence of an armed worker after which its cameras are BLIND."""

HUNG_S: Final = 4.0
"""Silence of a worker after which it is ended and started anew."""

HELLO_TIMEOUT_S: Final = 60.0
"""A worker that was started must say hello within so many seconds."""

LOAD_TIMEOUT_S: Final = 900.0
"""A worker must have its model ready within so many seconds: some providers build engines for minutes."""

ASK_TIMEOUT_S: Final = 10.0


class Stage(Enum):
    """How far a worker is: STARTED, LOADING its model, READY, and ARMED: only then its Observations count."""

    STARTED = "STARTED"
    LOADING = "LOADING"
    READY = "READY"
    ARMED = "ARMED"


@dataclass(slots=True, eq=False)
class Life:
    """One life of a worker, from its start, or the first word of one on another machine, to its end.

    `silent_s` counts only time in which the hub itself was turning: a hub that was held up must not blame its workers.
    `on_ready` is called with the answer to its order.
    """

    worker_group: str
    order: WorkerOrder
    worker_epoch: int
    token: str
    since_s: float
    on_ready: Callable[[Life, Answer], None]
    process: WorkerProcess | None = None
    instance: str = ""
    peer: bytes = b""
    stage: Stage = Stage.STARTED
    silent_s: float = 0.0
    told_silent: bool = False

    @property
    def camera_ids(self) -> tuple[str, ...]:
        """The cameras that it serves."""
        return tuple(camera.camera_id for camera in self.order.cameras)

    def enter(self, stage: Stage, now_s: float) -> None:
        """Go to the next stage."""
        self.stage, self.since_s, self.silent_s, self.told_silent = stage, now_s, 0.0, False

    def heard(self) -> None:
        """It gave a sign of life that is not older than SILENT_S."""
        self.silent_s, self.told_silent = 0.0, False

    def overdue(self, now_s: float) -> str | None:
        """Why it must be ended: what it did not do in time; None while it may go on."""
        waited_s = now_s - self.since_s
        if self.stage is Stage.STARTED and waited_s > HELLO_TIMEOUT_S:
            return f"worker {self.worker_group} did not say hello within {HELLO_TIMEOUT_S:g} s"
        if self.stage is Stage.LOADING and waited_s > LOAD_TIMEOUT_S:
            return f"worker {self.worker_group} had no model ready within {LOAD_TIMEOUT_S:g} s"
        if self.stage in (Stage.READY, Stage.ARMED) and self.silent_s > HUNG_S:
            return f"worker {self.worker_group} gave no sign of life for {HUNG_S:g} s"
        return None


@dataclass(slots=True, eq=False)
class Group:
    """A worker group: what its worker has to do, the worker now (None: between two), and when the next is started."""

    name: str
    order: WorkerOrder
    remote: bool
    restarts: Restarts
    life: Life | None = None
    start_s: float | None = None
    reason: str = ""
    proven: bool = False
    told_exhausted: bool = field(default=False)
