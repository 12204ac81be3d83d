"""The tables of the fix-impact report: the strategies side by side, and what each of them writes."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from simlib.case.case import Case, Noticed
from simlib.estimate.discipline_words import USUAL, discipline_words
from simlib.estimate.result import Result
from simlib.estimate.wording import milliseconds, percent, points, seconds
from simlib.report.html import Html, bullets, coded, marked, paragraphs, safe, table_html, two_lines
from simlib.report.table import Columns, Table, share
from simlib.search.proofs import Proofs


def strategies(result: Result, proofs: Proofs | None) -> Table:
    """Safety and price of each strategy.

    The frame is that of `Result.to_frame`, with `title` (what the strategy is), `proof` (what the search says, if nothing was
    seen), `stood_s` (median seconds that a wrong value stood) and `standing` (share that stood to the end of its replicate).
    """
    stood = [result.stood(name) for name in result.strategies]
    frame = result.to_frame().assign(
        title=[result.case.strategy(name).title for name in result.strategies],
        proof=[_proof(result, proofs, name) for name in result.strategies],
        stood_s=[median for median, _ in stood],
        standing=[standing for _, standing in stood],
    )
    seen = [one for one in result.case.noticed if result.noticed_rate(result.baseline, one).exposures.any()]
    columns: Columns = {
        "strategy": lambda row: Html(f"{marked(coded([row['strategy']]))}<br>{marked(row['title'])}"),
        "clobber rate": lambda row: Html(_share("best_rate")(row).text + (f"<br>{safe(row['proof'])}" if row["proof"] else "")),
        f"against {result.baseline}": lambda row: (
            "baseline" if row["strategy"] == result.baseline else _share("difference_from_baseline", points)(row)
        ),
        "lost writes": _share("lost_write_rate"),
        **{noticed.title: _share(f"noticed.{noticed.name}") for noticed in seen},
        "wrong value stood": lambda row: "n/a" if row["standing"] != row["standing"] else seconds(row["stood_s"]),
        "lock held, mean": lambda row: milliseconds(row["hold_mean_s"]),
        "wait, p99": lambda row: milliseconds(row["wait_p99_s"]),
    }
    return Table(frame, columns, after=_notes(frame, seen))


def _proof(result: Result, proofs: Proofs | None, name: str) -> str:
    """Beside a zero, what the search says of it."""
    known = proofs is not None and name in proofs.strategies and result.best_rate(name).estimate == 0 and result.clean(name)
    return proofs.verdict(name) if proofs and known else ""


def _share(name: str, form: Callable[[float], str] = percent) -> Callable[[Mapping[str, Any]], Html]:
    """An estimate with its interval on a second line, from the columns NAME, NAME_low and NAME_high."""
    text = share(name, form)
    return lambda row: two_lines(text(row))


def _notes(frame: pd.DataFrame, seen: list[Noticed]) -> Html:
    standing = dict(zip(frame["strategy"], frame["standing"], strict=True))
    ended = [f"`{name}` {percent(part)}" for name, part in standing.items() if part > 0]
    return paragraphs(
        "Small print under a rate: its 95 % interval. How long a wrong value stood is a median.",
        *(f"**{noticed.title}**: {noticed.about}." for noticed in seen),
        f"Wrong values that still stood when the replicate ended: {', '.join(ended)}." if ended else "",
    )


def rules(result: Result) -> Html:
    """What each strategy writes, for the sites where strategies differ; equal columns and equal rows stand once."""
    case, pieces = result.case, []
    for site in case.sites:
        tables = {name: case.strategy(name).rules[site] for name in result.strategies}
        columns = _grouped({name: str(rules) for name, rules in tables.items()})
        if len(columns) == 1:
            continue
        fields = [field for field in case.fields if any(field in rules for rules in tables.values())]
        cells = {field: [_rule(tables[names[0]].get(field)) for names in columns] for field in fields}
        rows = [[coded(group), *cells[group[0]]] for group in _grouped({field: str(row) for field, row in cells.items()})]
        table = pd.DataFrame(rows, columns=["field", *(", ".join(names) for names in columns)]).map(
            lambda text: Html(marked(text))
        )
        pieces.append(f"<p>Write site {marked(f'`{site}`')}:</p>{table_html(table)}")
    sources = bullets([f"`{name}`: {case.strategy(name).source}.{_discipline(case, name)}" for name in result.strategies])
    note = "`*` is the field's own name. An en dash: the key is absent from the patch, so the fresh value stays."
    return Html(sources.text + "".join(pieces) + paragraphs(note).text)


def _discipline(case: Case, name: str) -> str:
    """How it gets at the store, where that is unusual."""
    words = discipline_words(case, case.strategy(name).discipline)
    return "" if words == USUAL else f" {words[0].upper()}{words[1:]}"


def _grouped(keys: Mapping[str, str]) -> list[list[str]]:
    """Names with equal keys together, in the order in which they first come."""
    groups: dict[str, list[str]] = {}
    for name, key in keys.items():
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _rule(rule: object) -> str:
    return "–" if rule is None else f"`{rule}`"
