"""The replay against plain dictionaries: on simulated histories, and on drawn cases with drawn histories."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from dictionary_replay import Found, code_of, dictionary_replay
from generators import SEEDS, workloads
from hypothesis import given, settings
from hypothesis import strategies as st

from simlib.case.case import Case, Strategy, compile_case, load_case
from simlib.case.case_file import CaseModel
from simlib.case.pairs import ALWAYS, EVERYTHING
from simlib.case.rules import ABSENT
from simlib.common.files import validated
from simlib.model import compiled_model
from simlib.model.history import History, Values
from simlib.replay.books import NOBODY
from simlib.replay.judging import KINDS
from simlib.replay.replay import replay_strategy
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload

OPENCLAW = load_case("openclaw-70575")


def agree(case: Case, strategy: Strategy, history: History, context: dict[str, Any] | None = None) -> int:
    """Compare everything; returns how many clobbers there are."""
    commutative = frozenset(case.fields[1::2]) if case.name == "drawn" else frozenset[str]()
    ours, theirs = replay_strategy(case, strategy, history), dictionary_replay(case, strategy, history, context, commutative)
    for row in np.flatnonzero(history.ok):
        defined = {name: code for name, code in zip(case.fields, ours.entries[row].tolist(), strict=True) if code > 0}
        assert defined == {name: code_of(value) for name, value in (theirs.entries[row] or {}).items()}
    found = ours.clobbers
    for number in range(len(found)):
        codes = (getattr(found, name)[number] for name in ("wrong", "right", "fresh", "stale"))
        victim = int(found.victim[number])
        theirs_coded = theirs.clobbers[number]._replace(
            **{name: code_of(getattr(theirs.clobbers[number], name)) or None for name in ("wrong", "right", "fresh", "stale")}
        )
        assert theirs_coded == Found(
            int(found.culprit[number]),
            None if victim == NOBODY else victim,
            case.fields[found.field[number]],
            KINDS[found.kind[number]],
            bool(found.racing[number]),
            *(int(code) or None for code in codes),
        )
    assert len(found) == len(theirs.clobbers)
    assert found.until.tolist() == theirs.until
    assert (ours.writes.tolist(), ours.lost.tolist()) == (theirs.writes, theirs.lost)
    return len(found)


@given(workload=workloads(), seed=SEEDS)
@settings(max_examples=20)
def test_every_strategy_on_any_workload_against_dictionaries(workload: Workload, seed: int) -> None:
    history = compiled_model.simulate(workload, OPENCLAW, draw(workload, OPENCLAW, seed, 0))
    for strategy in (*OPENCLAW.strategies.values(), OPENCLAW.reference):
        agree(OPENCLAW, strategy, history)


def skipping_nothing(strategy: Strategy) -> Strategy:
    """The strategy with every rule run for every transaction."""
    pairs = strategy.pairs
    return replace(
        strategy,
        pairs=pairs._replace(
            faithful=np.zeros_like(pairs.faithful),
            keeps=np.zeros_like(pairs.keeps),
            wants=np.full_like(pairs.wants, ALWAYS),
            watches=np.full_like(pairs.watches, EVERYTHING),
        ),
    )


def same_outcomes(case: Case, strategy: Strategy, history: History) -> None:
    """What replay may skip changes no result."""
    ours, plain = replay_strategy(case, strategy, history), replay_strategy(case, skipping_nothing(strategy), history)
    assert (ours.entries == plain.entries).all()
    for name, column in vars(ours.clobbers).items():
        assert np.array_equal(column, getattr(plain.clobbers, name)), name
    assert (ours.writes.tolist(), ours.lost.tolist()) == (plain.writes.tolist(), plain.lost.tolist())


@given(workload=workloads(), seed=SEEDS)
@settings(max_examples=20)
def test_what_replay_may_skip_against_running_every_rule_of_every_transaction(workload: Workload, seed: int) -> None:
    history = compiled_model.simulate(workload, OPENCLAW, draw(workload, OPENCLAW, seed, 0))
    for strategy in (*OPENCLAW.strategies.values(), OPENCLAW.reference):
        same_outcomes(OPENCLAW, strategy, history)


CONTEXT = {
    "values": {
        "x": "entry.f0 ?? entry.f1 ?? request.k0 ?? request.f1",
        "y": "entry.f2 ?? request.k1",
        "z": "entry.f1 ?? entry.f0",
    },
    "conflict": {"entry": "entry.f0 ?? entry.f2", "request": "request.k0 ?? request.f1"},
}


def rule_tables(entries: list[str], contexts: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Rules for some of four fields; `entries` and `contexts` are what they may refer to."""
    names = ["f0", "f1", "f2", "*"]
    sources = [f"{of}.{name}" for of in (*entries, "request") for name in names]
    sources += [f"effective({of}).{name}" for of in contexts for name in "xyz"] + ["undefined"]
    sources += [f"overlay({of}, request).{name}" for of in entries for name in names]
    updates = [f"update({of}.{name}, request.{key})" for of in entries for name in names for key in ("*", "k0")]
    value = st.lists(st.sampled_from([*sources, *updates]), min_size=1, max_size=3).map(" ?? ".join)
    conditions = st.lists(st.sampled_from([*sources, *entries]), min_size=1, max_size=2)
    optional = {"when": st.just("defined"), "unless": conditions, "only_if": conditions}
    plain = st.fixed_dictionaries({"value": value}, optional=optional)
    asked = st.sampled_from(["request.*", "request.k0", *updates])
    first = st.one_of(asked, st.builds("{} ?? {}".format, asked, value))
    requested = st.fixed_dictionaries(
        {"value": first, "when": st.just("requested")}, optional={"unless": conditions, "only_if": conditions}
    )
    return st.dictionaries(st.sampled_from(["f0", "f1", "f2", "*"]), st.one_of(plain, requested), max_size=4)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Three sites; a strategy with any rules, one with the reference's but stale; few fields, or more than a word has bits."""
    fresh = rule_tables(["fresh"], ["fresh, request"])
    stale = rule_tables(["fresh", "stale"], ["fresh, request", "stale, request", "stale"])
    reference = {site: draw(fresh) for site in ("turn", "write", "other")}
    data = {
        "case": "drawn",
        "title": "drawn",
        "baseline": "any",
        "fields": {
            f"f{number}": {"domain": "d", "update": "commutative" if number % 2 else "ordered"}
            for number in range(draw(st.sampled_from([4, 70])))
        },
        "request": {"k0": {"domain": "d"}, "k1": {"domain": "d"}},
        "effective": CONTEXT,
        "sites": {name: {"role": "write" if name == "write" else "turn", "snapshot": "own"} for name in reference},
        "reference": reference,
        "strategies": {
            "any": {"title": "any", "sites": {site: draw(stale) for site in reference}},
            "outdated": {"title": "outdated", "sites": {site: outdated(rules) for site, rules in reference.items()}},
        },
    }
    return compile_case(validated(CaseModel, data, "drawn case"), "drawn case")


def outdated(rules: dict[str, Any]) -> dict[str, Any]:
    """The same rules with the stale entry for the fresh one: right when nothing happens meanwhile."""
    return {
        field: {
            key: [one.replace("fresh", "stale") for one in text] if isinstance(text, list) else text.replace("fresh", "stale")
            for key, text in rule.items()
        }
        for field, rule in rules.items()
    }


def any_history(case: Case, seed: int, size: int = 40, sessions: int = 2) -> History:
    """Transactions whose snapshots are any earlier commits of their sessions, mostly the newest."""
    random = np.random.default_rng(seed)
    session, ok = random.integers(0, sessions, size), random.random(size) < 0.9
    snapshot = np.full(size, NOBODY)
    for row in range(size):
        earlier = np.flatnonzero(ok[:row] & (session[:row] == session[row]))
        if earlier.size:
            snapshot[row] = earlier[-1] if random.random() < 0.5 else random.choice([NOBODY, *earlier])
    ends = np.arange(size, dtype=np.float64)
    named = random.random((size, len(case.request))) < 0.4
    return History(
        fields=case.fields,
        request_keys=case.request,
        sites=case.sites,
        kinds=("any",),
        flow=np.arange(size),
        kind=np.zeros(size, dtype=np.int64),
        site=random.integers(0, len(case.sites), size),
        session=session,
        gateway=np.zeros(size, dtype=np.int64),
        read=ends,
        queued=ends,
        lock=ends,
        end=ends,
        ok=ok,
        snapshot=snapshot,
        request=np.where(named, random.integers(0, 3, named.shape), ABSENT).astype(np.int32),
        initial=random.integers(0, 3, (sessions, len(case.fields))).astype(np.int32),
        values=Values({}),
        session_names=("a", "b"),
    )


@given(case=cases(), seed=SEEDS)
@settings(max_examples=150)
def test_any_case_on_any_history_against_dictionaries(case: Case, seed: int) -> None:
    history = any_history(case, seed)
    for strategy in (*case.strategies.values(), case.reference):
        agree(case, strategy, history, CONTEXT)
        same_outcomes(case, strategy, history)
    assert len(replay_strategy(case, case.reference, history).clobbers) == 0


@given(case=cases(), seed=SEEDS)
@settings(max_examples=30)
def test_rules_that_are_only_outdated_are_faithful(case: Case, seed: int) -> None:
    assert case.strategies["outdated"].pairs.faithful.all()


def test_more_clobbers_than_expected_are_all_kept() -> None:
    every = {f"f{number}": {"domain": "d"} for number in range(9)}
    case = compile_case(
        validated(
            CaseModel,
            {
                "case": "all",
                "title": "",
                "baseline": "all",
                "fields": every,
                "sites": {"turn": {"role": "turn", "snapshot": "own"}},
                "reference": {"turn": {"*": "request.* ?? fresh.*"}},
                "strategies": {"all": {"title": "", "sites": {"turn": {"*": "undefined"}}}},
            },
            "a case",
        ),
        "a case",
    )
    assert agree(case, case.strategies["all"], any_history(case, 1, size=200), {"values": {}, "conflict": {}}) > 200


@pytest.mark.parametrize("name", list(OPENCLAW.strategies))
def test_the_handlers_of_the_lineage_that_only_race_are_faithful(name: str) -> None:
    pairs = OPENCLAW.strategies[name].pairs
    handler = pairs.faithful[: pairs.strategy.first[1]]
    # Outside a race: `replace` drops fields, the sketch erases the group fields, the others do no harm.
    assert handler.all() == (name not in ("replace", "sketch-70575"))


def test_a_write_that_fills_a_gap_counts_as_the_dictionaries_count_it() -> None:
    # The last source looked at is the request, even where it names nothing: that is a write, of the denominator too.
    case = compile_case(
        validated(
            CaseModel,
            {
                "case": "gap",
                "title": "",
                "baseline": "gap",
                "fields": {"f0": {"domain": "d"}, "f1": {"domain": "d"}},
                "sites": {"write": {"role": "write", "snapshot": "own"}},
                "reference": {"write": {"*": "fresh.* ?? request.*"}},
                "strategies": {"gap": {"title": "", "sites": {"write": {"*": "stale.* ?? request.*"}}}},
            },
            "a case",
        ),
        "a case",
    )
    history = any_history(case, 3, size=200)
    agree(case, case.strategies["gap"], history, {"values": {}, "conflict": {}})
    assert replay_strategy(case, case.strategies["gap"], history).writes.any()
