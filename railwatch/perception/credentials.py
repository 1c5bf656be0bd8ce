"""User name and password of a camera: from the environment or a file of its owner's, and kept out of every text."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

from railwatch.core.errors import SourceError

MAX_BYTES: Final = 1024
_IN_URL: Final = re.compile(r"(?<=://)[^/\s@]*@")


@dataclass(frozen=True, slots=True)
class Credentials:
    """User name and password; neither is in its repr."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def hidden(self, text: str) -> str:
        """`text` without user and password, whether plain or percent-encoded, and without what stands before an @.

        >>> Credentials("ann", "s3cret").hidden("rtsp://ann:s3cret@cam/1: 401")
        'rtsp://***@cam/1: 401'
        """
        text = _IN_URL.sub("***@", text)
        for secret in sorted({self.password, quote(self.password, safe="")}, key=len, reverse=True):
            if secret:
                text = text.replace(secret, "***")
        return text


NONE: Final = Credentials("", "")


def read_credentials(named: str | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """What `credentials: env:NAME` or `credentials: file:PATH` names, USER:PASSWORD; none where nothing is named.

    Raises SourceError, without the secret, when it is not there, not of that form, or a file that others can read.
    """
    if named is None:
        return NONE
    kind, _, name = named.partition(":")
    if kind == "env" and name:
        content = environment.get(name)
        if content is None:
            raise SourceError(
                f"the environment of the worker must have {name}, USER:PASSWORD of the camera, but has not"
            )
    elif kind == "file" and name:
        content = _secret_file(Path(name))
    else:
        raise SourceError("credentials must be env:NAME or file:PATH")
    user, colon, password = content.rstrip("\r\n").partition(":")
    if not (user and colon) or any(ord(sign) < 32 for sign in content.rstrip("\r\n")):
        raise SourceError(f"what {named} names must be one line USER:PASSWORD, but is not")
    return Credentials(user, password)


def _secret_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(f"the file of credentials {path} must be readable, but is not: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SourceError(f"the file of credentials {path} must be its owner's alone: chmod 600 {path}")
    try:
        return content[:MAX_BYTES].decode()
    except UnicodeDecodeError:
        raise SourceError(f"the file of credentials {path} must be text, USER:PASSWORD") from None
