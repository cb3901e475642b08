from mixserve.status.rfc3339 import to_rfc3339


def test_times_are_whole_seconds_in_utc() -> None:
    assert to_rfc3339(0) == "1970-01-01T00:00:00Z"
    assert to_rfc3339(1_800_000_000.987) == "2027-01-15T08:00:00Z"
