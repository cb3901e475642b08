import pytest

from mixserve_devcluster.node.backoff import BackOff, duration_text


def waits(ends: list[float], factor: float = 1.0) -> list[float]:
    """The waits of a container that ends at these times and is started again as soon as it may be."""
    back_off, result = BackOff(factor=factor), []
    for ended_s in ends:
        result.append(back_off.delay_s(ended_s))
        back_off = back_off.advance(ended_s, ended_s + result[-1])
    return result


def test_the_first_restart_is_at_once_and_the_waits_double_up_to_five_minutes() -> None:
    ends = [0.0]
    for wait in [0, 10, 20, 40, 80, 160, 300]:
        ends.append(ends[-1] + wait + 1)
    assert waits(ends) == [0, 10, 20, 40, 80, 160, 300, 300]


def test_a_container_that_lasts_ten_minutes_starts_over() -> None:
    assert waits([0, 1, 12, 12 + 20 + 599])[-1] == 40
    assert waits([0, 1, 12, 12 + 20 + 601, 12 + 20 + 602]) == [0, 10, 20, 0, 10]


def test_a_factor_scales_everything() -> None:
    assert waits([0, 0.01, 0.02, 0.03], factor=0.01) == pytest.approx([0, 0.1, 0.2, 0.4])
    assert waits([0, 0.01, 7], factor=0.01) == pytest.approx([0, 0.1, 0])


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (160, "2m40s"), (300, "5m0s"), (0.2, "0.2s")])
def test_durations_are_written_as_kubernetes_does(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
