from mixserve.api.observation import EngineSample, Missing, MissingReason
from mixserve.autoscale.fleet import FRESH_S
from mixserve.controller.samples import Samples

FAILED = Missing(MissingReason.TIMEOUT)


def sample(at_s: float) -> EngineSample:
    return EngineSample(scraped_at_s=at_s, running=1, waiting=0, kv_cache_usage=0.5)


def reason(samples: Samples, now_s: float) -> MissingReason | None:
    found = samples.newest("u", now_s=now_s)
    return found.reason if isinstance(found, Missing) else None


def test_a_pod_that_was_never_scraped() -> None:
    assert reason(Samples(), 0) is MissingReason.NOT_SCRAPED
    assert not Samples().knows("u")


def test_the_newest_sample_counts() -> None:
    samples = Samples()
    samples.take("u", sample(1))
    samples.take("u", sample(2))
    assert samples.newest("u", now_s=3) == sample(2)
    assert samples.knows("u")


def test_one_lost_scrape_changes_nothing_and_a_lasting_failure_says_why() -> None:
    samples = Samples()
    samples.take("u", sample(1))
    samples.take("u", FAILED)
    assert samples.newest("u", now_s=1 + FRESH_S) == sample(1)
    assert reason(samples, 1.1 + FRESH_S) is MissingReason.TIMEOUT


def test_a_sample_that_nobody_renewed_is_stale() -> None:
    samples = Samples()
    samples.take("u", sample(1))
    assert reason(samples, 1.1 + FRESH_S) is MissingReason.STALE


def test_the_first_failures_of_a_pod_say_nothing_yet() -> None:
    samples = Samples()
    for expected in (MissingReason.NOT_SCRAPED, MissingReason.NOT_SCRAPED, MissingReason.TIMEOUT):
        samples.take("u", FAILED)
        assert reason(samples, 1) is expected
        assert samples.tried("u")


def test_a_success_ends_a_failure() -> None:
    samples = Samples()
    for _ in range(3):
        samples.take("u", FAILED)
    assert reason(samples, 1) is MissingReason.TIMEOUT
    samples.take("u", sample(2))
    assert samples.newest("u", now_s=2) == sample(2)
    assert reason(samples, 2.1 + FRESH_S) is MissingReason.STALE


def test_a_pod_that_is_gone_is_forgotten() -> None:
    samples = Samples()
    samples.take("u", sample(1))
    samples.take("u", FAILED)
    samples.forget("u")
    samples.forget("never there")
    assert reason(samples, 1) is MissingReason.NOT_SCRAPED
