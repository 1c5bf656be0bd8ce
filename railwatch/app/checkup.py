"""Is this machine fit to watch? Every check gives findings, each with its remedy; none of them ends the checkup.

Standard library only until a check needs more, so that a light or broken installation can be examined.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import Distribution, PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, NamedTuple

from railwatch.core.errors import ConfigError, InstallError, RailwatchError
from railwatch.perception.runtime import CV2_NAME, check_runtime, installed

if TYPE_CHECKING:
    from railwatch.core.settings import SiteSettings

LEAST_PYTHON: Final = (3, 11)
LEAST_FREE_BYTES: Final = 1_000_000_000
"""Least space on the disk of the site: a day of journal and some clips."""

DECODERS: Final = ("h264", "hevc", "mpeg4", "mjpeg")
"""What cameras send."""

_IMPORT_TIMEOUT_S: Final = 120.0
_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronised
_WATCH_EXTRA: Final = "pip install 'railwatch[cpu]' (or [cuda] or [openvino], exactly one)"


class State(Enum):
    """OK; FAULT: the machine cannot watch so; NOT_NEEDED: not there, and nothing here needs it."""

    OK = "ok"
    FAULT = "fault"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checkup: what was looked at, how it is, and what to do about it (empty when nothing)."""

    name: str
    state: State
    text: str
    remedy: str = ""


class Library(NamedTuple):
    """A library: the module to import, the distribution that brings it, and how to install it."""

    module: str
    distribution: str
    remedy: str


LIBRARIES: Final = (
    *(
        Library(module, distribution, f"pip install --force-reinstall {distribution}")
        for module, distribution in (
            ("pydantic", "pydantic"), ("rich", "rich"), ("typer", "typer"), ("yaml", "pyyaml"), ("zmq", "pyzmq"),
        )
    ),
    *(
        Library(module, distribution, _WATCH_EXTRA)
        for module, distribution in (
            ("av", "av"), ("numpy", "numpy"), ("onnxruntime", "onnxruntime"), ("cv2", "opencv-python"),
            ("shapely", "shapely"),
        )
    ),
)  # fmt: skip
"""What watching needs: first that of the light client, then that of the extra."""


def checkup(site_file: Path | None = None) -> Iterator[Finding]:
    """Every finding about this machine, then about the site of `site_file`, as they are made."""
    yield check_python()
    loaded = {}
    for library in LIBRARIES:
        finding = check_library(library)
        loaded[library.module] = finding.state is State.OK
        yield finding
    yield check_one_runtime()
    yield check_one_cv2()
    if loaded["onnxruntime"]:
        yield check_providers(importlib.import_module("onnxruntime"))
    if loaded["av"]:
        yield from check_decoders()
    yield check_clock()
    yield check_wall_clock(adjtimex_state(), time.gmtime().tm_year)
    yield check_disk(site_file.parent if site_file else Path.cwd())
    if site_file is None:
        yield Finding("site", State.NOT_NEEDED, "no site file given", "railwatch doctor --config site.yaml")
    elif loaded["pydantic"] and loaded["yaml"] and loaded["shapely"] and loaded["numpy"]:
        yield from check_site(site_file, cameras=all(loaded.values()))
    else:
        yield Finding("site", State.FAULT, "cannot be read until the libraries above are mended", _WATCH_EXTRA)


def check_python(found: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    """The interpreter."""
    text = f"{'.'.join(map(str, found))} on {platform.system()} {platform.machine()}"
    if found >= LEAST_PYTHON:
        return Finding("python", State.OK, text)
    least = ".".join(map(str, LEAST_PYTHON))
    return Finding("python", State.FAULT, text, f"install Python {least} or later and railwatch into it")


def check_library(library: Library) -> Finding:
    """Whether a library is there and can be loaded.

    It is imported in a process of its own: one that was built for another processor would kill this one.
    """
    module, distribution, remedy = library
    command = [sys.executable, "-c", f"import {module} as m; print(getattr(m, '__version__', ''))"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter, a module named above
            command, capture_output=True, text=True, errors="replace", timeout=_IMPORT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding(module, State.FAULT, f"does not load within {_IMPORT_TIMEOUT_S:.0f} s", remedy)
    if done.returncode == 0:
        return Finding(module, State.OK, done.stdout.strip() or _version(distribution))
    if done.returncode < 0:
        text = f"kills Python with {signal.Signals(-done.returncode).name} when it is loaded: built for other hardware"
        return Finding(module, State.FAULT, text, remedy)
    lines = done.stderr.strip().splitlines()
    said = lines[-1] if lines else f"exit code {done.returncode}"
    if module == "cv2" and "cannot open shared object file" in said:
        return Finding(module, State.FAULT, said, "apt-get install -y libgl1 libglib2.0-0, or your system's packages")
    return Finding(module, State.FAULT, said, remedy)


def check_one_runtime(among: Iterable[Distribution] | None = None) -> Finding:
    """Whether two ONNX Runtimes overwrite each other."""
    try:
        check_runtime(among)
    except InstallError as error:
        text, _, remedy = str(error).partition(". Run ")
        return Finding("one ONNX Runtime", State.FAULT, text, f"run {remedy}")
    return Finding("one ONNX Runtime", State.OK, "not more than one is installed")


def check_one_cv2(among: Iterable[Distribution] | None = None) -> Finding:
    """Whether two distributions of OpenCV overwrite each other."""
    found = installed(CV2_NAME, "cv2", among)
    listed = ", ".join(f"{name} {number}" for name, number in found.items())
    if len(found) < 2:
        return Finding("one OpenCV", State.OK, listed or "not more than one is installed")
    remedy = f"pip uninstall -y {' '.join(found)}, then pip install opencv-python"
    return Finding("one OpenCV", State.FAULT, f"{len(found)} overwrite each other: {listed}", remedy)


def check_providers(runtime: ModuleType) -> Finding:
    """What ONNX Runtime can run a model on."""
    try:
        providers: list[str] = runtime.get_available_providers()
    except AttributeError:
        text = "the package onnxruntime is only a remnant: another one was removed over it"
        remedy = "pip uninstall every onnxruntime*, delete its folder in site-packages, then " + _WATCH_EXTRA
        return Finding("providers", State.FAULT, text, remedy)
    if "CPUExecutionProvider" not in providers:
        return Finding("providers", State.FAULT, f"no CPU among {', '.join(providers) or 'none'}", _WATCH_EXTRA)
    return Finding("providers", State.OK, ", ".join(name.removesuffix("ExecutionProvider") for name in providers))


def check_decoders(names: Iterable[str] = DECODERS) -> Iterator[Finding]:
    """Whether PyAV's libav decodes what cameras send."""
    import av

    for name in names:
        try:
            decoder = av.Codec(name, "r")
        except (av.FFmpegError, ValueError):
            remedy = "pip install --force-reinstall av (the wheel; a self-built libav may lack it)"
            yield Finding(f"decoder {name}", State.FAULT, "this libav has none", remedy)
        else:
            yield Finding(f"decoder {name}", State.OK, decoder.long_name)


def check_clock() -> Finding:
    """The clock by which everything is timed."""
    clock = time.get_clock_info("monotonic")
    text = f"{clock.implementation}, resolution {clock.resolution * 1e6:g} us"
    if clock.monotonic and not clock.adjustable and clock.resolution <= 0.02:
        return Finding("monotonic clock", State.OK, text)
    return Finding(
        "monotonic clock", State.FAULT, text, "use a system whose clock never goes back and ticks every 20 ms"
    )


def adjtimex_state() -> int | None:
    """What the kernel says of the wall clock (adjtimex(2)), or None where that cannot be known."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512))  # all zero: only read
    except (OSError, AttributeError):
        return None
    return int(state) if state >= 0 else None


def check_wall_clock(state: int | None, year: int) -> Finding:
    """The clock of the time stamps for people; no alarm depends on it."""
    remedy = "timedatectl set-ntp true, or set up chrony"
    if year < 2025:
        return Finding("wall clock", State.FAULT, f"says it is {year}: every record would bear a wrong date", remedy)
    if state is None:
        return Finding("wall clock", State.NOT_NEEDED, "whether NTP keeps it cannot be known here")
    if state == _TIME_ERROR:
        text = "not kept by NTP: time stamps for people may be wrong, alarms do not depend on it"
        return Finding("wall clock", State.NOT_NEEDED, text, remedy)
    return Finding("wall clock", State.OK, "kept by NTP")


def check_disk(folder: Path) -> Finding:
    """Space for journal and evidence on the disk of `folder`."""
    folder = folder.resolve()
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", State.FAULT, f"{folder} cannot be looked at: {error}", "give a folder that is there")
    text = f"{free / 1e9:.1f} GB free at {folder}"
    if free >= LEAST_FREE_BYTES:
        return Finding("disk", State.OK, text)
    return Finding("disk", State.FAULT, text, f"free at least {LEAST_FREE_BYTES / 1e9:g} GB")


def check_site(site_file: Path, *, cameras: bool) -> Iterator[Finding]:
    """The site file, its model and provider; with `cameras` each of them is opened and gives a frame."""
    from railwatch.config import load_site

    try:
        site = load_site(site_file)
    except RailwatchError as error:
        yield Finding("site", State.FAULT, str(error), f"railwatch check {site_file} tells every fault with its line")
        return
    listed = ", ".join(camera.camera_id for camera in site.cameras)
    yield Finding("site", State.OK, f"{site.site_id}, with cameras {listed} and sections {', '.join(site.sections)}")
    if not cameras:
        yield Finding("cameras", State.FAULT, "cannot be opened until the libraries above are mended", _WATCH_EXTRA)
        return
    yield _guarded("model", lambda: _model(site), "give the file of a described model and its sha256 in the site file")
    if site.second_look is not None:
        remedy = "give a file of `classifiers export`, and classes of it as herd_taxa"
        yield _guarded("second look", lambda: _second_look(site), remedy)
    for camera in site.cameras:
        name = f"camera {camera.camera_id}"
        remedy = "correct its source in the site file, or mend the camera"
        yield _guarded(name, lambda: _camera(camera.source, camera.camera_id), remedy)  # noqa: B023 - called at once


def fault_count(findings: Iterable[Finding]) -> int:
    """How many faults stand between this machine and watching."""
    return sum(finding.state is State.FAULT for finding in findings)


def findings_json(findings: Iterable[Finding]) -> str:
    """One JSON document: fit, and every finding."""
    listed = list(findings)
    rows = [
        {"name": row.name, "state": row.state.value, "text": row.text, "remedy": row.remedy or None} for row in listed
    ]
    return json.dumps({"fit_to_watch": not fault_count(listed), "findings": rows})


def _model(site: SiteSettings) -> str:
    from railwatch.perception.detector import open_detector

    settings = site.model
    detector = open_detector(
        Path(settings.file),
        confidence=settings.confidence,
        provider=settings.provider,
        threads=settings.threads,
        sha256=settings.sha256,
    )
    return f"{settings.file} runs on {settings.provider.value}, sha256 {detector.model_sha256[:12]}..."


def _second_look(site: SiteSettings) -> str:
    from railwatch.app.second_look_check import second_look_faults

    if faults := second_look_faults(site.second_look):
        raise ConfigError("; ".join(fault.text for fault in faults))
    return f"{site.second_look.file} can be used" if site.second_look else ""


def _camera(source: str, camera_id: str) -> str:
    from railwatch.app.sources import open_source

    with open_source(source, camera_id) as opened:
        next(opened.frames())
        return opened.info.description


def _guarded(name: str, check: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(name, State.OK, check())
    except RailwatchError as error:
        return Finding(name, State.FAULT, " ".join(str(error).split()), remedy)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "version unknown"
