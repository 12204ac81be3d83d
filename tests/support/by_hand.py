"""Small scenarios worked out by hand: a workload of a few lines, and what became of its attempts in both engines."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from schedules import CASE

from simlib.common.files import validated
from simlib.model import compiled_model, simpy_model
from simlib.model.history import OUTCOMES, same
from simlib.workload.traffic import draw
from simlib.workload.workload import Workload


def workload_of(traffic, times, store=None, duration=1000.0, sessions=1):
    """A workload; a flow is (write sites, arrivals) with arrivals a list of times or a rate, and perhaps its gateways."""

    def flow(sites, arrivals, gateways=()):
        pattern = {"kind": "recorded", "times": arrivals} if isinstance(arrivals, list) else "poisson"
        rate = 0 if isinstance(arrivals, list) else arrivals
        return {"rate": rate, "arrivals": pattern, "gateways": list(gateways), "steps": sites}

    data = {
        "workload": "by hand",
        "about": "for one test",
        "case": CASE.name,
        "duration": duration,
        "sessions": {"count": sessions},
        "store": store or {},
        "values": dict.fromkeys(CASE.domains.values(), "many"),
        "traffic": {name: flow(*parts) for name, parts in traffic.items()},
        "times": times,
    }
    return validated(Workload, data, "by hand")


class Told(NamedTuple):
    """An attempt: flow, site, number, how it ended, times; snapshot and base by the name of the flow whose commit they show."""

    flow: str
    site: str
    number: int
    outcome: str
    read: float
    lock: float
    end: float
    snapshot: str | None
    base: str | None


def told(traffic, times, store=None, sessions=None, **changes):
    """The attempts in the order in which they ended, equal in both engines; asks nothing unless the sites are a mapping.

    `changes` are those to the usual discipline; `sessions` is the session of each flow, in order of arrival.
    """
    flows = {
        name: ({site: [] for site in sites} if isinstance(sites, list) else sites, *rest)
        for name, (sites, *rest) in traffic.items()
    }
    workload = workload_of(flows, times, store, sessions=max(sessions or [0]) + 1)
    drawn = draw(workload, CASE, 0, 0)
    if sessions:
        drawn = replace(drawn, session=np.array(sessions))
    discipline = replace(CASE.plain(), **changes)
    history = simpy_model.simulate(workload, CASE, drawn, discipline)
    assert same(history, compiled_model.simulate(workload, CASE, drawn, discipline))
    names = [history.kinds[kind] for kind in history.kind]
    shown = [*names, None]
    more = history.attempts
    return [
        Told(
            names[row],
            CASE.sites[history.site[row]],
            int(more.number[row]),
            OUTCOMES[more.outcome[row]],
            *(round(float(column[row]), 9) for column in (history.read, history.lock, history.end)),
            shown[history.snapshot[row]],
            shown[more.base[row]],
        )
        for row in range(len(history))
    ]


def guarded(guard, *sites):
    """The guards of a discipline: this one at these sites."""
    return tuple(guard if site in sites else None for site in CASE.sites)
