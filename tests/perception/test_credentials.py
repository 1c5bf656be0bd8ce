from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.errors import SourceError
from railwatch.perception.credentials import NONE, Credentials, read_credentials


def secret_file(folder, content, mode=0o600):
    path = folder / "camera.secret"
    path.write_bytes(content)
    path.chmod(mode)
    return f"file:{path}"


def test_from_the_environment_and_from_a_file(tmp_path):
    wanted = Credentials("ann", "a:b c")
    assert read_credentials("env:CAM", {"CAM": "ann:a:b c"}) == wanted
    assert read_credentials(secret_file(tmp_path, b"ann:a:b c\n")) == wanted
    assert read_credentials(None) is NONE
    assert "a:b c" not in repr(wanted)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"ann:secret", 0o640, "must be its owner's alone"),
        (b"secret", 0o600, "one line USER:PASSWORD"),
        (b":secret", 0o600, "one line USER:PASSWORD"),
        (b"ann:sec\nret", 0o600, "one line USER:PASSWORD"),
        (b"ann:\xff\xfe", 0o600, "must be text"),
    ],
)
def test_a_file_that_is_not_right_is_refused_without_its_content(tmp_path, content, mode, words):
    with pytest.raises(SourceError, match=words) as caught:
        read_credentials(secret_file(tmp_path, content, mode))
    assert "secret" not in str(caught.value).replace("camera.secret", "")


@pytest.mark.parametrize("named", ["env:NOT_THERE", "file:/nowhere/at/all", "plain", "env:", "vault:x"])
def test_what_is_not_there_is_named(named):
    with pytest.raises(SourceError):
        read_credentials(named, {})


@given(st.text("abcXYZ:@/% ", min_size=3, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_a_password_never_stays_in_a_text(password, before, after):
    hidden = Credentials("ann", password).hidden(f"{before}{password}{after}")
    assert password not in hidden.replace("***", "") or set(password) <= {"*"}
