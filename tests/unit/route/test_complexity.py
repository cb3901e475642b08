import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixserve.route.complexity.additive import AdditiveModel, Curve
from mixserve.route.complexity.heuristic import Heuristic
from mixserve.route.complexity.score import EASIEST, HARDEST, MIDDLE, Complexity, graded, judged, with_unread
from mixserve.route.request import Message, Prompt

HEURISTIC = Heuristic()

STORY = (
    "A train leaves the station at 3 pm at 60 km/h. Another train leaves the same station at 4 pm at 80 km/h, in the "
    "same direction. If each train keeps its speed, how many km from the station does the second train reach the "
    "first train, and when?"
)


def asked(text: str, *before: Message) -> Prompt:
    return Prompt((*before, Message("user", text)))


@pytest.mark.parametrize(("raw", "score"), [(-9.0, 1), (-1.0, 2), (-0.5, 2), (0.0, 3), (0.99, 4), (1.0, 5), (7.0, 5)])
def test_a_raw_score_is_graded_by_the_thresholds_it_reaches(raw, score):
    assert graded(raw, (-1.0, 0.0, 0.5, 1.0)) == score


def test_the_last_turn_of_the_user_is_judged():
    prompt = Prompt((Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c")))
    assert judged(prompt).text == "c"
    assert judged(Prompt(prompt.messages[:3])).text == "a"
    assert judged(Prompt((Message("system", "s"), Message("assistant", "b")))) == Message("", "s\nb")


def test_what_is_no_text_counts_as_the_middle_at_least():
    easy, hard = Complexity(1, "-1.20: x"), Complexity(4, "+0.50: x")
    image = Message("user", "What is this?", unread=True)
    assert with_unread(easy, Prompt((image,))) == (MIDDLE, "not all is text, so at least 3; text -1.20: x")
    assert with_unread(hard, Prompt((image,))) == hard
    assert with_unread(easy, asked("And now?", image)) == easy
    assert with_unread(easy, Prompt((image._replace(role="system"),))).score == MIDDLE


@pytest.mark.parametrize(
    ("value", "added"), [(-5.0, 1.0), (0.0, 1.0), (1.0, 1.5), (2.0, 2.0), (3.0, -1.0), (4.0, -4.0), (9.0, -4.0)]
)
def test_a_curve_is_straight_between_knots_and_level_beyond(value, added):
    assert Curve("x", (0.0, 2.0, 4.0), (1.0, 2.0, -4.0)).at(value) == pytest.approx(added)


def test_a_model_adds_its_curves_and_tells_the_largest_terms():
    model = AdditiveModel(
        curves=(Curve("a", (0.0, 1.0), (0.0, 1.0)), Curve("b", (0.0,), (0.1,)), Curve("c", (0.0, 1.0), (0.0, -3.0))),
        thresholds=(-1.0, 0.0, 0.5, 1.0),
    )
    assert model.raw((0.5, 7.0, 0.1)) == pytest.approx(0.3)
    assert model.judge((0.5, 7.0, 0.1)) == (3, "+0.30: a +0.50, c -0.30")
    assert model.judge((0.5, 7.0, None)) == (4, "+0.60: a +0.50, b +0.10")


def test_a_head_with_other_features_is_refused():
    with pytest.raises(AssertionError, match="other features"):
        Heuristic(AdditiveModel((Curve("length", (0.0,), (0.0,)),), (1.0, 2.0, 3.0, 4.0)))


@pytest.mark.parametrize("text", ["Hi!", "thanks", "hello, how are you?", "What is the capital of France?"])
def test_small_talk_and_plain_questions_are_easy(text):
    assert HEURISTIC(asked(text)).score <= 2


def test_a_calculation_with_several_steps_is_hard():
    assert HEURISTIC(asked(STORY)).score >= 4


def test_the_conversation_before_does_not_make_a_turn_harder():
    assert HEURISTIC(asked("Hi!", Message("user", STORY), Message("assistant", STORY))) == HEURISTIC(asked("Hi!"))


@given(st.text(max_size=400))
def test_every_text_gets_a_score_and_a_reason_that_fits_into_a_header(text: str) -> None:
    complexity = HEURISTIC(asked(text))
    assert EASIEST <= complexity.score <= HARDEST
    assert complexity.reason.isascii()
    assert complexity.reason.isprintable()
    assert len(complexity.reason) < 80
