"""The boundary to ONNX Runtime: opening a session on the provider asked for, and its errors as ours.

ONNX Runtime falls back to the CPU without a word when a provider is missing or fails to start; here that is an error.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType, ModuleType
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from railwatch.core.errors import InstallError, ModelError, ProviderError
from railwatch.core.provider import Provider
from railwatch.perception.engines import engine_folder, engine_options
from railwatch.perception.runtime import check_runtime


class Port(Protocol):
    """An input or output of a session: its name, shape (a number, a name or None a dimension) and element type."""

    name: str
    shape: list[int | str | None]
    type: str


class Metadata(Protocol):
    """What the file says of itself, by key."""

    custom_metadata_map: dict[str, str]


class Session(Protocol):
    """What is used of onnxruntime.InferenceSession."""

    def get_inputs(self) -> Sequence[Port]:
        """The inputs."""

    def get_outputs(self) -> Sequence[Port]:
        """The outputs."""

    def get_modelmeta(self) -> Metadata:
        """The metadata."""

    def get_providers(self) -> list[str]:
        """The providers in use, the first is asked first."""

    def disable_fallback(self) -> None:
        """Never open the session anew on another provider when a run fails."""

    def run(
        self, output_names: list[str], inputs: Mapping[str, npt.NDArray[np.generic]]
    ) -> list[npt.NDArray[np.floating]]:
        """Run the graph once."""


class _Choice(NamedTuple):
    """The providers to ask for, in order, with their options; and what to install when the first is not there."""

    providers: tuple[tuple[str, Mapping[str, str]], ...]
    remedy: str


_CUDA: Final = ("CUDAExecutionProvider", MappingProxyType({"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}))
_CHOICES: Final[Mapping[Provider, _Choice]] = MappingProxyType(
    {
        Provider.CPU: _Choice((("CPUExecutionProvider", {}),), "pip install 'railwatch[cpu]'"),
        Provider.CUDA: _Choice((_CUDA,), "pip install 'railwatch[cuda]', and see that nvidia-smi finds the card"),
        Provider.TENSORRT: _Choice(
            (("TensorrtExecutionProvider", {}), _CUDA),
            "pip install 'railwatch[cuda]', install TensorRT, and see that nvidia-smi finds the card",
        ),
        Provider.OPENVINO: _Choice((("OpenVINOExecutionProvider", {}),), "pip install 'railwatch[openvino]'"),
    }
)


def open_session(
    model: bytes,
    provider: Provider,
    threads: int = 0,
    *,
    optimise: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Session:
    """Open the model on `provider` with `threads` threads (0: all cores that this process may use).

    Without `optimise` it opens quicker and runs slower: to look into a file. `say` is told of a long wait. Raises
    InstallError when ONNX Runtime is missing or installed twice, ProviderError when the provider is not there or
    fails to start, ModelError when the bytes are not a model that it can run.
    """
    runtime = _runtime()
    choice = _CHOICES[provider]
    wanted = choice.providers[0][0]
    available = runtime.get_available_providers()
    if wanted not in available:
        raise ProviderError(
            f"provider {provider.value} must be installed, but this ONNX Runtime has {', '.join(available)}. "
            f"{choice.remedy}, or choose provider cpu"
        )
    if provider in (Provider.CUDA, Provider.TENSORRT) and hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()  # finds the CUDA libraries that pip installed
    if provider is Provider.CPU:
        mapped = native_errors("the model must be a complete ONNX file that this ONNX Runtime can run, but is not")
    else:
        mapped = native_errors(f"the model cannot be opened on provider {provider.value}", ProviderError)
    own: dict[str, dict[str, str]] = {}
    if provider is Provider.TENSORRT:
        own[wanted] = engine_options(engine_folder(model, runtime.__version__), say)
    with mapped:
        session: Session = runtime.InferenceSession(
            model,
            _options(runtime, threads, optimise=optimise),
            providers=[(name, {**options, **own.get(name, {})}) for name, options in choice.providers],
            enable_fallback=0,
        )
    session.disable_fallback()
    in_use = session.get_providers()
    if not in_use or in_use[0] != wanted:
        raise ProviderError(
            f"provider {provider.value} must run the model, but it failed to start and ONNX Runtime fell back to "
            f"{', '.join(in_use) or 'nothing'}. {choice.remedy}, or choose provider cpu"
        )
    return session


@contextmanager
def native_errors(message: str, kind: type[ModelError] = ModelError) -> Iterator[None]:
    """Turn what ONNX Runtime raises into `kind`: `message`, and the beginning of what it says."""
    try:
        yield
    except _native() as error:
        detail = " ".join(str(error).split())[:300]
        raise kind(f"{message} ({type(error).__name__}: {detail})") from error


@lru_cache(maxsize=1)
def _runtime() -> ModuleType:
    """ONNX Runtime, looked for once: what is installed does not change while a process runs."""
    check_runtime()
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise InstallError(
            f"ONNX Runtime must be installed to run a model, but cannot be imported ({error}). "
            "pip install 'railwatch[cpu]'"
        ) from error


@lru_cache(maxsize=1)
def _native() -> tuple[type[Exception], ...]:
    """Every error of ONNX Runtime: its own classes have no base in common but Exception."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    own = [item for item in vars(state).values() if isinstance(item, type) and issubclass(item, Exception)]
    return (*own, RuntimeError, ValueError)


def _options(runtime: ModuleType, threads: int, *, optimise: bool) -> object:
    options = runtime.SessionOptions()
    levels = runtime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimise else levels.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads or _cores()
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # Its threads spin while the model runs, which is faster, but not after it, when the processor is needed elsewhere.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Its threads wait for work in a busy loop, ONNX Runtime's default: on cores of its own a small network is a third
    # faster so, on contended cores slower (benchmarks/detector_overhead.py prints both).
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.log_severity_level = 4  # errors come as exceptions; its own lines on stderr would say them twice
    return options


def _cores() -> int:
    """Cores this process may use: fewer than the machine has in a container with a CPU set."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
