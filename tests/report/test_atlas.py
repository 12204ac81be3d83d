"""The atlas: one figure of each case against a pencil."""

import math
from functools import cache

import numpy as np
import pytest

from simlib.case.case import load_case
from simlib.model.compiled_model import simulate
from simlib.model.history import CONFLICT, FAILED
from simlib.replay.replay import replay_strategy
from simlib.report.atlas import atlas_json, atlas_names, atlas_table, make_atlas
from simlib.report.atlas_page import atlas_page
from simlib.search.certificate import certify
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

REPLICATES = 6
CLOBBERS, FAILS = 1, 2


def test_the_atlas_has_eight_cases_or_more_each_with_its_workload_two_cures_and_a_report(refused):
    names = atlas_names()
    assert len(names) >= 8
    for name in names:
        case, workload = load_case(name), load_workload(name)
        assert len(case.strategies) >= 3
        assert case.links
        assert all(url.startswith("https://github.com/") for url in case.links.values())
        assert all(strategy.source for strategy in case.strategies.values())
        assert any("chosen" in text for text in case.assumptions)
        assert workload.workload == name
    assert "is no case of the atlas; allowed: atlas-" in refused(atlas_names, ["quiet"])


def test_json_table_and_page_of_a_run_are_of_the_promised_form():
    entries = make_atlas(["atlas-chimera-agent"], replicates=2)
    (case,) = atlas_json(entries)["cases"]
    assert set(case) == {"case", "reports", "strategies"}
    assert {frozenset(one) for one in case["strategies"].values()} == {
        frozenset({"verdict", "clobber_rate", "failed_rate", "p99"})
    }
    assert [(name, one["verdict"]) for name, one in case["strategies"].items()] == [
        ("go-on-without", "cannot tell"),  # the bug itself
        ("no-lock", "harms"),
        ("fail-instead", "ends"),
        ("wait-longer", "ends"),
    ]
    shown = atlas_table(entries).rows()
    assert [row["verdict"] for row in shown] == ["(the bug)", "harms", "ends, proved", "ends, proved"]
    page = atlas_page(entries)
    assert "chosen, not measured" in page
    assert '<a href="https://github.com/brcampidelli/chimera-agent/issues/224">' in page


def test_the_guards_of_the_cures_are_certified_at_the_site_that_they_guard():
    case = load_case("openclaw-cures")
    sites = {
        name: {site for site, one in certify(case, case.strategies[name]).items() if one.certified} for name in case.strategies
    }
    guarded = {name for name, strategy in case.strategies.items() if strategy.discipline.guards[0] is not None}
    assert {name for name, certified in sites.items() if "handler" in certified} >= guarded | {"in-mutator", "all-sites"}
    assert not any("handler" in sites[name] for name in ("replace", "before-19328", "after-19328", "sketch-70575"))
    assert sites["all-sites"] == sites["identity-back-off"] == set(case.sites)


# ---- by hand ---------------------------------------------------------------------------------------------------------------


@cache
def seen(name, strategy):
    """(replicates, 3): transactions at sites of a unit, those that clobber, and those that their guard fails."""
    case, workload = load_case(name), load_workload(name)
    chosen, counts = case.strategy(strategy), []
    for replicate in range(REPLICATES):
        history = simulate(workload, case, draw(workload, case, 1, replicate), chosen.discipline)
        outcomes = replay_strategy(case, chosen, history)
        unit = case.in_unit[history.site]
        outcome = np.zeros(len(history), dtype=np.int64) if history.attempts is None else history.attempts.outcome
        culprits = np.unique(outcomes.clobbers.culprit)
        done, failed = unit & (outcome != CONFLICT), unit & (outcome == FAILED)
        counts.append((done.sum(), unit[culprits].sum(), failed.sum()))
    return np.array(counts)


def rejected_once(windows, others, mine):
    """P(a guard rejects), if so many `others`, and the accepted part of `mine`, commit a second.

    1 - E[exp(-rate x window)], the window being a constant and exponentials; what is rejected does not commit: the fixed point.
    """
    constant, *means = windows
    chance = 0.0
    for _ in range(50):
        rate = others + mine * (1 - chance)
        chance = 1 - math.exp(-rate * constant) / math.prod(1 + rate * mean for mean in means)
    return chance


def by_hand():
    """(case, strategy, which column of `seen` it is, the share by hand)."""
    # A change writes its whole session: wrong where another one has set something else meanwhile (weights 3, 2, 1 and 1/2).
    other = 1 - (9 + 4 + 1 + 0.25) / 6.5**2
    yield "express-session", "save-whole-if-changed", CLOBBERS, 0.25 * other * rejected_once((0.0005, 0.4), 20 / 200, 0)
    # A touch is wrong where a login, or a logout of who is logged in (half of the time), has come meanwhile.
    yield "session-file-store", "touch-as-loaded", CLOBBERS, rejected_once((0, 1.5), (1 + 0.5) / 100, 0)
    yield "metriport", "version-column", FAILS, rejected_once((0.002, 0.3), 2 / 60, 12 / 60)
    yield "prisma", "predicate-update", FAILS, rejected_once((0.001, 0.05), 20 / 50, 80 / 50)
    # Two of three servers hold an old document once each has saved: of 36 saves the first 5.5, with one failure, take that.
    yield "mongoose", "version-key", FAILS, ((36 - 5.5) * 2 / 3 + 1) / 36
    yield "agent-sandbox", "optimistic-once", FAILS, rejected_once((0.002, 0.05, 0.005), 20 / 40, 60 / 40)
    # Without a lock, a write of 8 ms puts back what others have written meanwhile, but for the note that it writes itself.
    yield "chimera-agent", "no-lock", CLOBBERS, rejected_once((0, 0.008), 45 * 19 / 20, 0)
    # A window saves until another program has written: 1 + s/t of its saves, s and t being what a user's two programs write.
    saves = 0.22 / 200 * 14400
    yield "codex", "version-check", FAILS, 1 - (1 + 0.22 / 0.17) / saves
    yield "controlkeel", "version-once", FAILS, rejected_once((0.003, 0.08), 0, 20 / 10)


@pytest.mark.parametrize(
    ("name", "strategy", "what", "share"), list(by_hand()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_one_figure_of_each_case_against_a_pencil(name, strategy, what, share):
    counts = seen(f"atlas-{name}", strategy)
    done, events = counts[:, 0], counts[:, what]
    rate = events.sum() / done.sum()
    error = np.sqrt(((events - rate * done) ** 2).sum() * REPLICATES / (REPLICATES - 1)) / done.sum()
    # What a guard lets through keeps a distance from what was committed before, and is a little more regular than Poisson.
    assert abs(rate - share) < 4 * error + 0.08 * share
