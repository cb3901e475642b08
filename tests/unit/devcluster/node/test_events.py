from mixserve_devcluster.node.events import EventBudget


def test_a_burst_passes_and_then_a_trickle() -> None:
    budget = EventBudget()
    assert [budget.allows(("pod", "Unhealthy"), 0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert not budget.allows(("pod", "Unhealthy"), 299.0)
    assert budget.allows(("pod", "Unhealthy"), 301.0)
    assert not budget.allows(("pod", "Unhealthy"), 302.0)


def test_other_reasons_and_pods_have_their_own() -> None:
    budget = EventBudget()
    for _ in range(11):
        budget.allows(("pod", "Unhealthy"), 0.0)
    assert budget.allows(("pod", "Killing"), 0.0)
    assert budget.allows(("other", "Unhealthy"), 0.0)
