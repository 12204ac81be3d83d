"""Comparisons, against the differences that a result has itself and against sums by hand; what is not paired is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simlib.case.case import Case, load_case
from simlib.common.shipped import CASE
from simlib.estimate.compare import compare, load_sample, sample, save
from simlib.estimate.experiment import run
from simlib.estimate.result import Result
from simlib.workload.workload import load_workload

NAMES = ("replace", "after-19328", "all-sites")


@pytest.fixture(scope="module")
def case() -> Case:
    return load_case(CASE)


def result_of(case: Case, *overrides: str, seed: int = 1, replicates: int = 6) -> Result:
    workload = load_workload("busy-team", ["duration=60", *overrides])
    return run(workload, case, NAMES, seed=seed, replicates=replicates, jobs=1)


@pytest.fixture(scope="module")
def result(case: Case) -> Result:
    return result_of(case)


def test_two_strategies_of_a_result_differ_as_the_result_says(result: Result) -> None:
    found = compare(sample(result, "replace"), sample(result, "after-19328"))
    expected = result.difference("replace")
    assert expected is not None
    assert found.difference.estimate == expected.estimate
    assert found.difference.interval() == expected.interval()
    assert found.changed[0] == "strategy: 'after-19328' -> 'replace'"
    assert all(line.startswith("rule ") for line in found.changed[1:])


def test_the_differences_by_field_and_site_against_sums_by_hand(case: Case, result: Result) -> None:
    found = compare(sample(result, "replace"), sample(result, "all-sites"))
    units = result.numbers("replace")["units"].sum()
    for number, field in enumerate(case.fields):
        clobbers = [result.by_field(name).sum(axis=1)[number] for name in ("replace", "all-sites")]
        assert found.by_field[field].estimate == pytest.approx((clobbers[0] - clobbers[1]) / units)
    for number, site in enumerate(case.sites):
        each = result.numbers("replace")
        shares = each["clobbering"][:, number].sum() / each["transactions"][:, number].sum()
        assert found.by_site[site].estimate == pytest.approx(shares)  # all-sites has none


def test_two_workloads_are_paired_by_their_replicates_and_what_differs_is_said(case: Case, result: Result) -> None:
    other = result_of(case, "traffic.patch.rate=3")
    found = compare(sample(other, "after-19328"), sample(result, "after-19328"))
    mine, theirs = other.clobber_rate("after-19328"), result.clobber_rate("after-19328")
    residuals = mine.residuals - theirs.residuals
    assert found.difference.estimate == mine.estimate - theirs.estimate
    assert found.difference.standard_error == pytest.approx(np.sqrt(np.sum(residuals**2) * 6 / 5))
    assert found.changed == ("traffic.patch.rate: 0.25 -> 3.0",)


def test_nothing_differs_from_itself(result: Result) -> None:
    found = compare(sample(result, "replace"), sample(result, "replace"))
    assert (found.difference.estimate, found.difference.interval(), found.changed) == (0.0, (0.0, 0.0), ())


def test_a_result_that_was_saved_compares_as_it_did(result: Result, tmp_path: Path) -> None:
    save(result, tmp_path / "r.parquet")
    for name in NAMES:
        stored = load_sample(tmp_path / "r.parquet", name)
        assert (
            compare(stored, sample(result, "replace")).to_json()
            == compare(sample(result, name), sample(result, "replace")).to_json()
        )
    assert load_sample(tmp_path / "r.parquet").name == "after-19328 on busy-team"


def test_a_rate_by_conditional_monte_carlo_is_kept(case: Case, tmp_path: Path) -> None:
    workload = load_workload("handler-only", ["duration=60", "sessions.count=2000"])
    result = run(workload, case, ["after-19328"], replicates=10, jobs=1)
    assert result.conditional
    save(result, tmp_path / "r.parquet")
    assert load_sample(tmp_path / "r.parquet").rate.estimate == result.best_rate("after-19328").estimate


def test_what_is_not_paired_is_refused_and_says_why(case: Case, result: Result, refused: Callable[..., str]) -> None:
    mine = sample(result, "replace")
    other_seed = sample(result_of(case, seed=2), "replace")
    assert "not paired: seed 1 and 2; allowed: the same" in refused(compare, mine, other_seed)
    fewer = sample(result_of(case, replicates=5), "replace")
    assert "not paired: replicates 6 and 5" in refused(compare, mine, fewer)
    assert "not paired: fields" in refused(compare, mine, replace(mine, fields=("x",)))
    assert "not paired: write sites" in refused(compare, mine, replace(mine, sites=("x",)))


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), (b"", "cannot be read"), (b"PAR1", "cannot be read")])
def test_a_file_that_is_no_result_is_refused(
    tmp_path: Path, refused: Callable[..., str], content: bytes | None, says: str
) -> None:
    path = tmp_path / "r.parquet"
    if content is not None:
        path.write_bytes(content)
    assert says in refused(load_sample, path)


def test_a_strategy_that_a_result_does_not_have_is_refused(result: Result, refused: Callable[..., str]) -> None:
    assert "has no strategy 'nosuch'; allowed: replace, after-19328, all-sites" in refused(sample, result, "nosuch")


def test_failed_units_and_rejected_attempts_are_compared_replicate_by_replicate() -> None:
    workload = load_workload("busy-team", ["duration=60"])
    result = run(workload, load_case("openclaw-cures"), ["reordered-bytes", "bytes-retry-once"], replicates=6)
    found = compare(*(sample(result, name) for name in result.strategies))
    each = {name: result.numbers(name) for name in result.strategies}
    for outcome, events, of in (("failed_rate", "units_failed", "units_begun"), ("conflict_rate", "conflicts", "guarded")):
        one, other = (each[name][events].sum() / each[name][of].sum() for name in result.strategies)
        assert found.outcomes[outcome].estimate == pytest.approx(one - other)
        assert found.to_json()["outcomes"][outcome]["low"] > 0
