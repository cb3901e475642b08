from math import inf

from mixserve.route.picking.popularity import Popularity


def test_a_rare_beginning_is_the_key() -> None:
    popularity = Popularity(largest_share=0.5)
    assert popularity.key((1, 2, 3), endpoints=4) == (1, False)
    assert popularity.key((1, 2, 4), endpoints=4) == (1, True)


def test_the_key_of_a_popular_beginning_is_what_follows_it() -> None:
    popularity = Popularity(largest_share=0.5)
    for number in range(100):
        popularity.key((1, 2, 1000 + number), endpoints=4)
    assert popularity.key((1, 2, 2000), endpoints=4) == (2000, False)
    assert popularity.key((1, 2, 2000, 2001), endpoints=4) == (2000, True)


def test_the_key_of_a_prompt_that_is_popular_to_its_end_is_its_end() -> None:
    popularity = Popularity(largest_share=0.5)
    for _ in range(100):
        popularity.key((1, 2), endpoints=4)
    assert popularity.key((1, 2), endpoints=4) == (2, True)


def test_with_an_infinite_share_the_first_block_is_always_the_key() -> None:
    popularity = Popularity(largest_share=inf)
    assert {popularity.key((1, number), endpoints=4)[0] for number in range(2, 600)} == {1}


def test_what_is_popular_no_longer_is_forgotten_after_two_windows() -> None:
    popularity = Popularity(largest_share=0.5)
    for _ in range(100):
        popularity.key((1, 2), endpoints=4)
    for number in range(2 * 512):
        popularity.key((10 + number,), endpoints=4)
    assert popularity.key((1, 2), endpoints=4) == (1, False)


def test_counts_are_bounded() -> None:
    popularity = Popularity(largest_share=0.5)
    for number in range(20_000):
        popularity.key((2 * number, 2 * number + 1), endpoints=1000)
    assert len(popularity._newest) <= 2 * 4096
    assert len(popularity._older) == 2 * 4096
