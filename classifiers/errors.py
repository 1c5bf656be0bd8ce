"""The exception tree. Every error a user can cause has a class here and an exit code.

    ClassifierError           1  anything below; the command line prints one line and exits with the code
    ├── ConfigError           2  an option, a configuration or a combination of them is wrong
    ├── DataError             3  a folder, picture or split cannot be used
    ├── CheckpointError       4  a run or checkpoint cannot be trusted or does not fit
    ├── TrainingError         5  training went wrong: the loss is no longer a number
    ├── InstallError          6  a library or device is missing
    ├── OutputError           7  something cannot be written: full disk, missing folder
    └── ExportError           8  an exported file does not answer as its run

A message says what must hold, what was given, and what to do.
"""

from __future__ import annotations


class ClassifierError(Exception):
    """Base of all errors that classifiers raises on purpose."""

    exit_code = 1


class ConfigError(ClassifierError):
    """An option, a configuration file or a combination of values is wrong."""

    exit_code = 2


class DataError(ClassifierError):
    """A folder, a picture or a split cannot be used."""

    exit_code = 3


class CheckpointError(ClassifierError):
    """A run or a checkpoint cannot be trusted, or does not fit what is asked of it."""

    exit_code = 4


class TrainingError(ClassifierError):
    """Training cannot go on, as the loss is no longer a number."""

    exit_code = 5


class InstallError(ClassifierError):
    """A library or a device that was asked for is not there."""

    exit_code = 6


class OutputError(ClassifierError):
    """A file cannot be written."""

    exit_code = 7


class ExportError(ClassifierError):
    """An exported file does not answer as the run that it comes from."""

    exit_code = 8
