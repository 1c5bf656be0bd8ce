"""Where training runs: the device, and this process among the others that torchrun started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, distributed

from classifiers.errors import InstallError

DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Place:
    """A device, and the number of this process among `world` processes."""

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and tells people."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values

    def agreed(self, value: bool) -> bool:
        """What the leading process says."""
        if self.world == 1:
            return value
        flag = torch.tensor([int(value)], device=self.device)
        distributed.broadcast(flag, 0)
        return bool(flag.item())

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            distributed.barrier()


def device_of(name: str) -> torch.device:
    """The device of a name; "auto" is the first of CUDA, MPS, CPU. Raises InstallError where it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InstallError(f"device must be auto, cpu, cuda, cuda:N or mps, but {name!r} is given") from error
    if device.type == "cuda" and not (torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()):
        raise InstallError(
            f"device {name} must be there, but torch {torch.__version__} sees {torch.cuda.device_count()} CUDA "
            f"devices: take --device cpu, or install a driver that fits"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InstallError("device mps must be there, but torch does not see it: take --device cpu")
    return device


@contextmanager
def placed(name: str) -> Iterator[Place]:
    """The place of this process. Under torchrun (WORLD_SIZE > 1) the processes meet: NCCL on CUDA, gloo elsewhere."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Place(device_of(name))
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = device_of(f"cuda:{local}" if name in {"auto", "cuda"} and torch.cuda.is_available() else name)
    mine = not distributed.is_initialized()
    if mine:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Place(device, distributed.get_rank(), distributed.get_world_size())
    finally:
        if mine:
            distributed.destroy_process_group()
