"""The exception tree. Every error a user can cause has a class here and an exit code.

    RailwatchError            1  anything below; the command line prints one line and exits with the code
    ├── ConfigError           2  a site file, a zone or an option is wrong
    ├── SourceError           3  a video, picture or camera cannot be read
    ├── ModelError            4  a model file cannot be trusted, described or run
    │   ├── ProviderError     4  the execution provider asked for is not there
    │   └── DownloadError     4  a model cannot be fetched
    ├── MessagingError        5  a socket cannot be bound or connected, a message breaks the wire format
    │   ├── WireError         5  bytes that are not a valid message
    │   └── KeysError         5  a key is missing, damaged, revoked, or readable by others
    ├── InstallError          6  a library is missing, or two that exclude each other are installed
    ├── RecordError           7  a recording of inputs cannot be read or written
    ├── JournalError          8  a journal of alerts or a position file cannot be opened, read or kept
    ├── RelayError            9  the output of a relay cannot be opened or set
    └── EvidenceError        10  evidence is not as it was kept, is missing, or cannot be read or written

A message says what must hold, what was given, and what to do.
"""

from __future__ import annotations


class RailwatchError(Exception):
    """Base of all errors that railwatch raises on purpose."""

    exit_code = 1


class ConfigError(RailwatchError):
    """A site file, zone or option breaks a rule of the configuration."""

    exit_code = 2


class SourceError(RailwatchError):
    """A video, picture or camera cannot be opened or failed while it was read."""

    exit_code = 3


class ModelError(RailwatchError):
    """A model file is missing, not ONNX, not described, or gives what its description forbids."""

    exit_code = 4


class ProviderError(ModelError):
    """The execution provider asked for is not available, or the session silently fell back."""


class DownloadError(ModelError):
    """A model cannot be fetched: no way to the server, a wrong file, or a scheme other than https."""


class MessagingError(RailwatchError):
    """A socket cannot be bound, connected or kept."""

    exit_code = 5


class WireError(MessagingError):
    """Bytes received are not a valid message of the wire protocol."""


class KeysError(MessagingError):
    """A key or a folder of keys is missing, damaged, not allowed, or can be read by others."""


class InstallError(RailwatchError):
    """The installation lacks a library, or holds two that exclude each other."""

    exit_code = 6


class RecordError(RailwatchError):
    """A recording of inputs cannot be read or written."""

    exit_code = 7


class JournalError(RailwatchError):
    """A journal of alerts, or a file that keeps a reader's position in one, cannot be opened, read or kept."""

    exit_code = 8


class RelayError(RailwatchError):
    """The output of a relay cannot be opened, or does not take what it is set to."""

    exit_code = 9


class EvidenceError(RailwatchError):
    """Evidence is not as it was kept, is not there, or cannot be read or written."""

    exit_code = 10
