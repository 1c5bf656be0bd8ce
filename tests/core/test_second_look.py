"""What a site lays down about the second look, and what it may answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from railwatch.core.second_look import Annotation, SecondLookSettings
from railwatch.core.settings import SiteFaultsError
from tests.scenario import site

SAID = Annotation("cam", 1, 7, 2.5, "Mammalia", 0.9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"t_s": float("nan")}, "t_s must be finite"),
        ({"confidence": float("nan")}, r"confidence must be in \[0, 1\]"),
        ({"confidence": 1.1}, "but is 1.1"),
        ({"taxon": ""}, "taxon must be 1 to 200"),
        ({"taxon": "x" * 201}, "taxon must be 1 to 200"),
        ({"taxon": "two\nlines"}, "printable"),
    ],
)
def test_an_annotation_with_values_that_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(SAID, **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"least_confidence": 1.5}, "least_confidence must be 0 to 1"),
        ({"every_s": 0.0}, "every_s must be positive"),
        ({"herd_taxa": ()}, "herd_taxa must name at least one"),
    ],
)
def test_settings_out_of_range_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(SecondLookSettings("c.onnx"), **change)


def test_a_second_look_needs_animals_that_raise_alarms():
    with pytest.raises(SiteFaultsError, match="second_look must be left out where the class group animal"):
        replace(site(), alarm_groups=("person",), second_look=SecondLookSettings("c.onnx"))


def test_a_site_without_a_second_look_keeps_its_config_rev_and_one_with_it_has_another():
    plain = site()
    look = SecondLookSettings("c.onnx", "a" * 64)
    keen = replace(plain, second_look=look)
    assert keen.config_rev != plain.config_rev
    assert keen.config_rev == replace(plain, second_look=replace(look, file="elsewhere.onnx")).config_rev
    assert keen.config_rev != replace(plain, second_look=replace(look, herd_taxa=("Aves",))).config_rev
