from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from railwatch.core.address import PORTS, Address, bracketed, is_address, parse_address

HOSTS = st.sampled_from(["cam", "cam.example", "10.0.0.7", "2001:db8::7"])
TARGETS = st.text("abcXYZ019-._~/?=&%", max_size=40).map(lambda text: "/" + text.lstrip("/"))


@given(st.sampled_from(sorted(PORTS)), HOSTS, st.integers(1, 65535), TARGETS)
def test_there_and_back(scheme, host, port, target):
    address = parse_address(f"{scheme}://{bracketed(host)}:{port}{target}")
    assert parse_address(address.url()) == address
    assert (address.scheme, address.host, address.port) == (scheme, host, port)


@given(st.text(max_size=60))
def test_whatever_is_given_is_an_address_or_a_plain_refusal(text):
    refusal = ""
    try:
        url = parse_address(text).url()
    except ValueError as error:
        refusal = str(error)
    if refusal:
        assert "must" in refusal
        assert "\n" not in refusal
    else:
        assert url.partition(":")[0] in PORTS
        assert "@" not in url.partition("//")[2].partition("/")[0]


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_user_and_password_are_encoded_so_that_they_cannot_end(user, password):
    try:
        url = Address("rtsp", "cam", 554, "/1").url(user, password)
    except UnicodeEncodeError:
        return  # a lone surrogate is no text
    head, _, tail = url.removeprefix("rtsp://").partition("@")
    assert tail == "cam:554/1"
    assert set(head) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%:")


@pytest.mark.parametrize("port", [554, 8554])
def test_the_query_is_not_shown(port):
    address = parse_address(f"rtsp://cam:{port}/live?token=abc")
    assert address.shown == f"rtsp://cam:{port}/live?..."
    assert address.url(host="10.0.0.7") == f"rtsp://10.0.0.7:{port}/live?token=abc"


def test_what_has_a_scheme_is_no_file():
    assert is_address("file:/etc/passwd")
    assert not is_address("folder/clip.mp4")


@pytest.mark.parametrize(
    "text", ["rtsp://user:secret@cam/1", "rtsp://cam:0/1", "rtsp://cam/#1", "rtsp://[::x]/1", "rtsp://" + "a" * 2000]
)
def test_a_refusal_never_repeats_a_secret(text):
    with pytest.raises(ValueError, match="must") as caught:
        parse_address(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["[12345::1]", "[v1.a:b]", "-i", "cam_1", "", "[cam]"])
def test_a_host_must_be_a_name_or_a_number(host):
    with pytest.raises(ValueError, match="must"):
        parse_address(f"rtsp://{host}/1")
