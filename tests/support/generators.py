"""Hypothesis strategies for schedules and workloads, for every test that wants them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from schedules import CASE, FIELDS, REQUEST, Step

from simlib.common.files import validated
from simlib.workload.workload import Workload

VALUES = ("a", "b", "c")
VALUE = st.sampled_from(VALUES)


def requests(site: str) -> st.SearchStrategy[dict[str, str | None]]:
    """What a caller may ask of the site: values, and from a patch also clears. Few keys, so that they meet."""
    if site == "patch":
        return st.dictionaries(st.sampled_from(FIELDS), st.one_of(VALUE, st.none()), max_size=4)
    if site in ("handler", "inbound"):
        delivery = ("channel", "to", "accountId", "threadId")
        keys = delivery if site == "inbound" else (*delivery, "label", "groupId", "groupChannel", "space")
        return st.dictionaries(st.sampled_from(keys), VALUE, max_size=4)
    return st.just({})


@st.composite
def schedules(draw: st.DrawFn, serial: bool = False, sessions: int = 2, most: int = 12) -> list[Step]:
    """Transactions that begin one after the other and commit when they like; with `serial`, each before the next begins.

    Shrinks towards few transactions that do not overlap.
    """
    steps: list[tuple[float, int, Step]] = []

    def add(time: float, step: Step) -> None:
        steps.append((time, len(steps), step))

    for number in range(draw(st.integers(1, most))):
        site = draw(st.sampled_from(["patch", "handler", "inbound", "run_start"]))
        session = draw(st.integers(0, sessions - 1))
        lasts = 0 if serial else draw(st.integers(0, 4))
        name = str(number)
        if site != "patch":  # its snapshot is the fresh entry
            add(number, Step("read", f"{site} {name}", session))
        what = "commit" if serial or draw(st.integers(0, 9)) else "give_up"
        add(number + 0.4 + lasts, Step(what, f"{site} {name}", session, draw(requests(site))))
        if site == "run_start" and what == "commit":
            more = 0 if serial else draw(st.integers(0, 4))
            add(number + 0.5 + lasts + more, Step("commit", f"run_end {name}", session))
    return [step for _, _, step in sorted(steps, key=lambda item: item[:2])]


def entries() -> st.SearchStrategy[dict[str, str | None]]:
    """An entry to begin with."""
    return st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=6)


DURATIONS = st.one_of(
    st.sampled_from([0.0, 0.01, 0.3]),
    st.builds(lambda mean: {"dist": "exponential", "mean": mean}, st.sampled_from([0.01, 0.2])),
    st.just({"dist": "lognormal", "median": 0.05, "sigma": 0.5}),
)
FLOWS = (
    ["handler"],
    ["handler", "run_start", "run_end"],
    ["patch", "handler", "run_start", "run_end"],
    ["run_start", "run_end"],
    ["patch"],
    ["inbound"],
)


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Small and busy workloads of the shipped case, on one to three gateways."""
    gateways = draw(st.integers(1, 3))

    def shapes(site: str) -> list[dict[str, Any]]:
        if site in ("run_start", "run_end"):
            return []
        keys = st.lists(st.sampled_from(REQUEST), max_size=3, unique=True)
        return draw(st.lists(st.builds(lambda ask: {"ask": ask}, keys), max_size=2))

    def one_flow() -> dict[str, Any]:
        return {
            "rate": draw(st.sampled_from([0.0, 0.5, 4.0])),
            "arrivals": draw(st.sampled_from(["poisson", {"kind": "bursty", "busy": 2, "idle": 3}, {"kind": "periodic"}])),
            "gateways": draw(st.lists(st.integers(0, gateways - 1), unique=True)),
            "sessions": draw(st.sampled_from(["one", "one", "all"])),
            "steps": {site: shapes(site) for site in draw(st.sampled_from(FLOWS))},
        }

    data = {
        "workload": "drawn",
        "about": "drawn by hypothesis",
        "case": CASE.name,
        "duration": 10,
        "sessions": {"count": draw(st.integers(1, 4)), "popularity": draw(st.sampled_from(["uniform", "zipf"]))},
        "store": {
            "gateways": gateways,
            "cache_ttl": draw(st.sampled_from([0.0, 1.0, 45.0])),
            "mtime_tick": draw(st.sampled_from([0.0, 0.004, 2.0])),
            "lock_timeout": draw(st.sampled_from([0.2, 10.0])),
        },
        "values": dict.fromkeys(CASE.domains.values(), 2),
        "traffic": {name: one_flow() for name in draw(st.sampled_from([["one"], ["one", "two"], ["one", "two", "three"]]))},
        "times": {
            site: {"after": draw(DURATIONS), "prepare": draw(DURATIONS), "compute": 0.005, "hold": draw(DURATIONS)}
            for site in CASE.sites
        },
    }
    return validated(Workload, data, "drawn workload")


SEEDS = st.integers(0, 2**32 - 1)


def permuted(codes: Any, order: np.ndarray[Any, Any]) -> Any:
    """Value codes renamed by `order` (a permutation of 1..n); UNDEFINED and ABSENT stay."""
    return np.where(codes > 0, order[np.maximum(codes, 1) - 1], codes)
