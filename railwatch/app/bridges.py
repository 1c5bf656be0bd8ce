"""`railwatch bridge`: the sinks of a bridge file, each with its thread, until it is told to end."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final

from railwatch.core.errors import ConfigError, InstallError, RailwatchError
from railwatch.messaging.bridge import Sink, SinkThread
from railwatch.messaging.bridge_settings import AppriseSettings, BridgeSettings, MqttSettings, SinkSettings
from railwatch.messaging.client import Client
from railwatch.messaging.keys import ClientKeys

JOIN_S: Final = 15.0
_CHECK_S: Final = 0.5


def run_bridges(settings: BridgeSettings, say: Callable[[str], None], stopping: threading.Event) -> None:
    """Hand alerts on until `stopping` is set; what a sink has not confirmed by then comes again the next time.

    Raises:
        InstallError: A library of the extra `bridge` is missing.
        ConfigError: The folder of positions cannot be made, or Apprise does not know an address.
        RailwatchError: A thread failed for a reason that trying again does not mend.
    """
    for name in ("apprise", "requests", "urllib3"):  # they would log addresses, and secrets with them
        logging.getLogger(name).setLevel(logging.CRITICAL)
    keys = None if settings.keys is None else ClientKeys.load(settings.keys)
    try:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"state_dir must be a folder that can be made, but {settings.state_dir} cannot: {error.strerror}"
        ) from error
    sinks = [_sink(sink, settings) for sink in settings.sinks]
    _connect(settings, keys, sinks[0].name).close()  # a wrong endpoint is told at once
    threads = [SinkThread(sink, partial(_connect, settings, keys, sink.name), say) for sink in sinks]
    try:
        while not stopping.wait(_CHECK_S):
            for thread in threads:
                _raise_failure(thread)
    finally:
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(JOIN_S)


def _raise_failure(thread: SinkThread) -> None:
    failure = thread.failure
    if isinstance(failure, RailwatchError):
        raise failure
    if failure is not None:
        raise RailwatchError(f"a sink failed: {type(failure).__name__}") from failure


def _connect(settings: BridgeSettings, keys: ClientKeys | None, name: str) -> Client:
    return Client(
        settings.connect,
        settings.request_connect,
        site_id=settings.site_id,
        keys=keys,
        position=settings.state_dir / f"{name}.position",
        patience_s=inf,
    )


def _sink(sink: SinkSettings, settings: BridgeSettings) -> Sink:
    if isinstance(sink, MqttSettings):
        found: Sink = _module("mqtt").MqttSink(sink, settings.site_id, settings.state_dir)
    elif isinstance(sink, AppriseSettings):
        found = _module("apprise").AppriseSink(sink)
    else:
        found = _module("webhook").WebhookSink(sink)
    return found


def _module(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - one of three modules
    try:
        return importlib.import_module(f"railwatch.messaging.bridge_{name}")
    except ModuleNotFoundError as error:
        raise InstallError(f"bridges need {error.name}, which is missing: pip install 'railwatch[bridge]'") from error
