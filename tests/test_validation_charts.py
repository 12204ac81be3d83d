from simlib.predict import Condition
from simlib.validation_charts import predicted_against_observed


def test_each_condition_is_drawn_once_by_whether_it_is_inside() -> None:
    rows = [Condition("s", "r", "clobber_rate", x, x, 0, 2 * x, inside, 10, 0.0) for x, inside in ((0.01, True), (0.02, False))]
    axes = predicted_against_observed(rows).axes[0]
    assert len(axes.containers) == 2
    assert predicted_against_observed([]).axes
