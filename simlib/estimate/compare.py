"""Two results against each other: the paired difference, by field and by write site, and what differs in their inputs.

Replicate r of one is paired with replicate r of the other. They have the seed in common, so they have every draw in common
that the inputs do not change; whatever else they have in common only narrows the interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simlib.case.case import load_case
from simlib.common.differences import changes, flat
from simlib.common.errors import InputError
from simlib.common.files import replacing
from simlib.common.shipped import find
from simlib.estimate.discipline_words import discipline_words
from simlib.estimate.experiment import run
from simlib.estimate.intervals import Difference, Mean, Rate
from simlib.estimate.outcomes import OUTCOMES, rate_of
from simlib.estimate.result import Result
from simlib.estimate.stored import MODEL_VERSION, STORED_VERSION, Stored, pack, unpack
from simlib.estimate.totals import Records
from simlib.workload.workload import DESCRIPTIVE, load_workload

COMPARED = {
    "lost_write_rate": "lost writes",
    "any_loss": "transactions that clobber",
    "conflict_rate": "attempts rejected",
    "false_conflict_rate": "attempts rejected falsely",
    "failed_rate": "failed units of work",
}
"""The outcomes that are compared beside the clobber rate, and what people call them."""
NO_SECOND = "there is nothing to compare with; give a second result or workload, or a strategy of the first (against)"


@dataclass(frozen=True)
class Sample:
    """The replicates of one strategy, and all that they depend on.

    Attributes:
        name: what it is called: a strategy on a workload.
        inputs: flat; key -> value.
        fields, sites: the names that the numbers are of.
        numbers: (replicates,) records as in `Totals.numbers`.
        rate: the clobber rate, by the better of the two estimators.
    """

    name: str
    inputs: Mapping[str, Any]
    fields: tuple[str, ...]
    sites: tuple[str, ...]
    numbers: Records
    rate: Rate

    @property
    def strategy(self) -> str:
        """Its name."""
        return str(self.inputs["strategy"])


@dataclass(frozen=True)
class Comparison:
    """The first against the second: each difference is the first one's number minus the second one's.

    Attributes:
        one, other: what was compared.
        difference: of the clobber rates.
        by_field: field -> of how often it was clobbered, in clobbers a unit of work.
        by_site: write site -> of the share of its transactions that clobber.
        outcomes: outcome -> of the other rates: lost writes, and what the strategies cost.
        changed: what differs in the inputs, a line each; from the second to the first.
    """

    one: Sample
    other: Sample
    difference: Difference
    by_field: Mapping[str, Difference]
    by_site: Mapping[str, Difference]
    outcomes: Mapping[str, Difference]
    changed: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As `simlib compare --json` prints it."""
        return {
            "one": self.one.name,
            "other": self.other.name,
            "replicates": int(self.one.numbers.size),
            "difference": _json(self.difference),
            "by_field": {name: _json(difference) for name, difference in self.by_field.items()},
            "by_site": {name: _json(difference) for name, difference in self.by_site.items()},
            "outcomes": {name: _json(difference) for name, difference in self.outcomes.items()},
            "inputs_changed": list(self.changed),
        }


def sample(result: Result, strategy: str) -> Sample:
    """What a result has of a strategy.

    Raises:
        InputError: it has none of that name.
    """
    return _sample(_stored(result), strategy, "this result")


def save(result: Result, path: Path) -> None:
    """Keep a result in a file, from which `load_sample` takes what is to be compared."""
    with replacing(path) as temporary:
        temporary.write_bytes(pack(_stored(result)))


def load_sample(path: Path, strategy: str = "") -> Sample:
    """A strategy's replicates from a file that `save` wrote; without a name, those of the strategy that was its baseline.

    Raises:
        InputError: the file cannot be read, is no stored result, is of another version, or has no such strategy.
    """
    return _sample(_load(path), strategy, str(path))


def find_samples(
    source: str,
    strategies: Sequence[str] = (),
    *,
    case: str = "",
    overrides: Sequence[str] = (),
    seed: int = 1,
    replicates: int | None = None,
) -> list[Sample]:
    """What is to be compared, by the name that people give it.

    Args:
        source: a file that `save` wrote (NAME.parquet); else a workload, by its name or path, which is run.
        strategies: names; an empty one is the baseline, and none at all means all of them, the baseline first.
        case: of the run; the workload's own if empty.
        overrides: `key.key=value` for the workload.
        seed: of the run.
        replicates: of the run; as many as the workload says if not given.

    Raises:
        InputError: as `load_sample`, or as `run`.
    """
    stored = _load(Path(source)) if source.endswith(".parquet") else None
    if stored is None:
        workload = load_workload(source, overrides)
        compiled = load_case(case or workload.case)
        workload.check_case(compiled, str(find("workloads", source)))
        wanted = [name or compiled.baseline for name in strategies]
        names = dict.fromkeys([*wanted, compiled.baseline]) if wanted else ()
        stored = _stored(run(workload, compiled, tuple(names), seed=seed, replicates=replicates))
    every = [stored.about["baseline"], *stored.about["strategies"]]
    return [_sample(stored, name, source) for name in dict.fromkeys(strategies or every)]


def _load(path: Path) -> Stored:
    try:
        stored = unpack(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    if "strategies" not in stored.about:
        raise InputError(f"{path}: a block of a sweep, and no result; `simlib run --save FILE` writes one")
    return stored


def _stored(result: Result) -> Stored:
    conditional = np.full((len(result.strategies), result.replicates, 2), np.nan)
    for name, rate in result.conditional.items():
        conditional[result.strategies.index(name)] = np.column_stack([rate.totals, rate.exposures])
    rules = {name: result.case.strategies[name].rules for name in result.strategies}
    about = {
        "versions": [MODEL_VERSION, STORED_VERSION],
        "workload": result.workload.workload,
        "inputs": {
            **flat(result.workload.model_dump(mode="json", exclude=DESCRIPTIVE)),
            "seed": result.seed,
            "case": result.case.name,
        },
        "rules": {
            name: {f"{site}.{field}": str(rule) for site, table in of.items() for field, rule in table.items()}
            for name, of in rules.items()
        },
        "disciplines": {
            name: discipline_words(result.case, result.case.strategies[name].discipline) for name in result.strategies
        },
        "strategies": list(result.strategies),
        "baseline": result.baseline,
        "fields": list(result.case.fields),
        "sites": list(result.case.sites),
    }
    return Stored(result.totals, conditional, about)


def _sample(stored: Stored, strategy: str, source: str) -> Sample:
    about = stored.about
    if about["versions"] != [MODEL_VERSION, STORED_VERSION]:
        raise InputError(f"{source}: of another version of simlib's model; run it again")
    names = about["strategies"]
    strategy = strategy or about["baseline"]
    if strategy not in names:
        raise InputError(f"{source}: has no strategy '{strategy}'; allowed: {', '.join(names)}")
    row, baseline = names.index(strategy), names.index(about["baseline"])
    numbers, conditional = np.asarray(stored.totals.numbers[row]), stored.conditional[row]
    clustering = _counted(np.asarray(stored.totals.numbers[baseline])).design_effect
    counted = Rate(*_events(numbers), clustering)
    return Sample(
        name=f"{strategy} on {about['workload']}",
        inputs=about["inputs"]
        | {"strategy": strategy, "discipline": about["disciplines"][strategy]}
        | {f"rule {key}": rule for key, rule in about["rules"][strategy].items()},
        fields=tuple(about["fields"]),
        sites=tuple(about["sites"]),
        numbers=numbers,
        rate=counted if np.isnan(conditional).any() else Rate(*conditional.T),
    )


def _events(numbers: Records) -> tuple[Any, Any]:
    return numbers["clobbered_units"].astype(np.float64), numbers["units"].astype(np.float64)


def _counted(numbers: Records) -> Rate:
    return Rate(*_events(numbers))


def compare(one: Sample, other: Sample) -> Comparison:
    """The first sample against the second.

    Raises:
        InputError: they are not paired: seeds, numbers of replicates, fields or write sites differ.
    """
    for what, mine, theirs in (
        ("seed", one.inputs["seed"], other.inputs["seed"]),
        ("replicates", one.numbers.size, other.numbers.size),
        ("fields", ", ".join(one.fields), ", ".join(other.fields)),
        ("write sites", ", ".join(one.sites), ", ".join(other.sites)),
    ):
        if mine != theirs:
            raise InputError(f"{one.name} and {other.name} are not paired: {what} {mine} and {theirs}; allowed: the same")
    return Comparison(
        one,
        other,
        Difference(one.rate, other.rate),
        {name: _difference(one, other, "clobbered_fields", "units", number) for number, name in enumerate(one.fields)},
        {name: _difference(one, other, "clobbering", "transactions", number) for number, name in enumerate(one.sites)},
        {name: Difference(*(_rate(sample, name) for sample in (one, other))) for name in COMPARED},
        tuple(changes(other.inputs, one.inputs)),
    )


def _rate(sample: Sample, outcome: str) -> Rate:
    return rate_of(OUTCOMES[outcome], sample.numbers, sample.numbers)


def _difference(one: Sample, other: Sample, events: str, of: str, number: int) -> Difference:
    def mean(sample: Sample) -> Mean:
        exposures = sample.numbers[of] if sample.numbers[of].ndim == 1 else sample.numbers[of][:, number]
        return Mean(sample.numbers[events][:, number].astype(np.float64), exposures.astype(np.float64))

    return Difference(mean(one), mean(other))


def _json(difference: Difference) -> dict[str, float | None]:
    low, high = difference.interval() or (None, None)
    estimate = difference.estimate
    return {"estimate": None if np.isnan(estimate) else estimate, "low": low, "high": high}
