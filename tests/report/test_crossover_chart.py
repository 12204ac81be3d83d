"""The figure of the crossover, against the numbers that it is made of."""

import numpy as np
import pandas as pd
import pytest

from simlib.estimate.crossover import Crossover
from simlib.report.crossover_chart import crossover_chart, crossover_finding


def of(failed: list[float], longer: list[float]) -> Crossover:
    """Four loads; intervals of a twentieth either way."""
    at = [0.0, 0.02, 0.1, 0.3]
    columns = {"load": [0.25, 0.5, 1, 2], "conflict_rate": at, "guard_failed": failed, "lock_failed": [0.0] * 4}
    columns |= {"failed_difference": failed, "lock_p99_s": [0.03] * 4, "p99_longer": longer}
    columns |= {"guard_p99_s": [0.03 * (1 + each) for each in longer]}
    ends = {
        f"{name}{end}": np.array(values) * by
        for name, values in columns.items()
        for end, by in (("_low", 0.95), ("_high", 1.05))
    }
    return Crossover("w", "retry<b>", "mutex", pd.DataFrame(columns | ends | {"stable": True}))


def test_the_finding_says_where_the_curves_cross_and_what_the_folk_rule_says() -> None:
    text = crossover_finding(of([0, 0, 0, 0.002], [0, 0, 0.2, 0.3]))
    assert text.startswith("retry<b> fails more units of work than mutex by over 0.10 pp from 20.0 % (19.5 to 20.5 %)")
    assert "has a p99 over 10.0 % longer from 6.00 % (" in text
    assert text.endswith("the folk rule says optimistic below 1.00 %, locks above 10.0 %.")


@pytest.mark.parametrize(
    ("longer", "says"),
    [
        ([0, 0, 0, 0], "p99 over 10.0 % longer nowhere up to 30.0 % of conflicts"),
        ([0.2, 0.2, 0.2, 0.2], "already at the lowest load, where 0 % of its attempts are rejected"),
        ([0, 0.2, 0.2, -0.5], "of conflicts on, though not at the highest load"),
    ],
)
def test_the_finding_says_where_they_do_not_cross(longer: list[float], says: str) -> None:
    assert says in crossover_finding(of([0, 0, 0, 0], longer))


def test_the_figure_marks_the_crossing_and_the_folk_rule_and_escapes_names() -> None:
    figure = crossover_chart(of([0, 0, 0, 0.002], [0, 0, 0, 0]))
    failed, p99 = figure.drawn.axes
    marks = [sorted(line.get_xdata()[0] for line in panel.lines if len(set(line.get_xdata())) == 1) for panel in (failed, p99)]
    assert marks[0] == pytest.approx([1, 10, 20])
    assert marks[1] == pytest.approx([1, 10])
    assert len(figure.frame) == 4
    assert "retry&lt;b&gt;" in figure._repr_html_()
    assert figure.svg.startswith(b"<?xml")
