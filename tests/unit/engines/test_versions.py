import pytest

from mixserve.engines.versions import is_older, line, nearest_line


def test_the_line_of_a_version_has_no_patch():
    assert line("0.33.1") == "0.33"


@pytest.mark.parametrize(
    ("version", "nearest"),
    [
        ("0.9.2", "0.11"),
        ("0.11.0", "0.11"),
        ("0.12.5", "0.11"),
        ("0.33.7", "0.33"),
        ("0.100.0", "0.33"),
        ("1.0.0", "0.33"),
    ],
)
def test_a_version_is_treated_as_the_newest_that_is_not_newer(version, nearest):
    assert nearest_line(version, ("0.11", "0.33")) == nearest


@pytest.mark.parametrize(
    ("version", "other", "older"), [("0.9.2", "0.10.0", True), ("0.32.0", "0.32.0", False), ("1.0.0", "0.99.9", False)]
)
def test_versions_compare_as_numbers(version, other, older):
    assert is_older(version, other) is older
