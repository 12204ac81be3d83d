"""The atlas: public races of other programs, each with the cures that compete there, judged by one rule.

Every case named atlas-* is run on the workload of the same name. Its baseline is the bug as reported; a verdict says of each
other strategy what becomes of that.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simlib.case.case import Case, load_case
from simlib.common.errors import InputError, choose, shown
from simlib.common.shipped import shipped_names
from simlib.estimate.cures import Verdict, judge
from simlib.estimate.experiment import run
from simlib.estimate.wording import seconds
from simlib.report.table import Columns, Table, share
from simlib.search.certificate import certify
from simlib.workload.workload import Workload, load_workload

PREFIX = "atlas-"
Share = Mapping[str, float]
"""An estimated share, and the `low` and `high` end of its interval."""


@dataclass(frozen=True)
class Judged:
    """One strategy of a case on its workload.

    Attributes:
        verdict: of the baseline itself `cannot tell`, as it is compared with nothing.
        proved: whether it ends the clobbers by proof (certificates for every write site), and not only in what was seen.
        clobber_rate, failed_rate: shares of units of work.
        p99: seconds from request to commit; NaN if there is none.
        reported: what its case says that people reported of it.
    """

    name: str
    title: str
    verdict: Verdict
    proved: bool
    clobber_rate: Share
    failed_rate: Share
    p99: float
    reported: str


@dataclass(frozen=True)
class Entry:
    """A case of the atlas: its workload, and its strategies, the baseline first."""

    case: Case
    workload: Workload
    strategies: tuple[Judged, ...]


def atlas_names(wanted: Sequence[str] = ()) -> list[str]:
    """The names of the cases asked for, or of all.

    Raises:
        InputError: one of them is no case of the atlas.
    """
    known = [name for name in shipped_names("cases") if name.startswith(PREFIX)]
    for name in wanted:
        if name not in known:
            raise InputError(f"{shown(name)} is no case of the atlas; {choose(name, known)}")
    return list(dict.fromkeys(wanted)) or known


def make_entry(name: str, seed: int = 1, replicates: int | None = None, jobs: int | None = None) -> Entry:
    """Run all strategies of a case of the atlas, and judge them."""
    case, workload = load_case(name), load_workload(name)
    order = sorted(case.strategies, key=lambda strategy: strategy != case.baseline)
    result = run(workload, case, order, seed=seed, replicates=replicates, jobs=jobs)
    rows = result.to_json()["strategies"]
    bug = rows[case.baseline]
    judged = []
    for strategy in order:
        proved = all(certificate.certified for certificate in certify(case, case.strategy(strategy)).values())
        variant, row = case.strategy(strategy), rows[strategy]
        judged.append(
            Judged(
                name=strategy,
                title=variant.title,
                verdict="cannot tell" if strategy == case.baseline else judge(bug, row, proved or result.clean(strategy)),
                proved=proved,
                clobber_rate=row["clobber_rate"],
                failed_rate=row["failed_rate"],
                p99=row["latency"]["p99"],
                reported=variant.source,
            )
        )
    return Entry(case, workload, tuple(judged))


def make_atlas(
    names: Sequence[str],
    seed: int = 1,
    replicates: int | None = None,
    jobs: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Entry]:
    """The entries of these cases, as from `atlas_names`; `progress` is called after each."""
    entries = []
    for name in names:
        entries.append(make_entry(name, seed, replicates, jobs))
        progress()
    return entries


def atlas_table(entries: Sequence[Entry]) -> Table:
    """A row for each strategy of each case. Rates are shares with their intervals, `p99_s` is in seconds."""
    rows: list[dict[str, Any]] = []
    for entry in entries:
        for one in entry.strategies:
            rows.append(
                {
                    "case": entry.case.name.removeprefix(PREFIX),
                    "strategy": one.name,
                    "verdict": _words(entry, one),
                    "p99_s": one.p99,
                    "reported": one.reported,
                    **_columns("clobber_rate", one.clobber_rate),
                    **_columns("failed_rate", one.failed_rate),
                }
            )
    return Table(pd.DataFrame(rows), COLUMNS)


COLUMNS: Columns = {
    "case": lambda row: str(row["case"]),
    "cure": lambda row: str(row["strategy"]),
    "verdict": lambda row: str(row["verdict"]),
    "clobber rate (95 %)": share("clobber_rate"),
    "failed (95 %)": share("failed_rate"),
    "p99": lambda row: seconds(row["p99_s"]),
    "what was reported": lambda row: str(row["reported"]),
}


def _words(entry: Entry, one: Judged) -> str:
    if one.name == entry.case.baseline:
        return "(the bug)"
    return f"{one.verdict}, proved" if one.verdict == "ends" and one.proved else one.verdict


def _columns(name: str, estimate: Share) -> dict[str, float]:
    return {name: estimate["estimate"], f"{name}_low": estimate["low"], f"{name}_high": estimate["high"]}


def atlas_json(entries: Sequence[Entry]) -> dict[str, Any]:
    """The entries as `simlib atlas --json` prints them."""
    return {
        "cases": [
            {
                "case": entry.case.name,
                "reports": dict(entry.case.links),
                "strategies": {
                    one.name: {
                        "verdict": one.verdict,
                        "clobber_rate": one.clobber_rate,
                        "failed_rate": one.failed_rate,
                        "p99": one.p99,
                    }
                    for one in entry.strategies
                },
            }
            for entry in entries
        ]
    }
