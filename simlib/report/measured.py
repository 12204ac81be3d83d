"""What was measured on real builds, a strategy each: recorded races and a recorded timeline, in a few words."""

from pathlib import Path

import numpy as np

from simlib.case.case import Case
from simlib.common.arrays import Bools
from simlib.common.shipped import DATA
from simlib.estimate.intervals import Rate
from simlib.estimate.result import Result
from simlib.estimate.wording import rate_text, seconds
from simlib.replay.counterfactual import Counterfactual
from simlib.report.html import coded
from simlib.validate.races import Trials, read_trials


def recorded_races(case: Case) -> dict[str, list[Trials]]:
    """Strategy -> the trials of the builds that ship it, of the recordings that the case names.

    Raises:
        InputError: a recording is not there, or is none.
    """
    found: dict[str, list[Trials]] = {}
    for name in case.sections.races.recordings if case.sections.races else ():
        path = Path(name) if Path(name).is_file() else DATA / "recordings" / f"{name}.json"
        trials = read_trials(path, case)
        found.setdefault(trials.rule, []).append(trials)
    return found


def race_words(trials: Trials, unit: str) -> str:
    """What became of the writes of one recording's trials.

    The figure in the middle is of the longest stretch of offsets in which every write was lost.
    """
    fields = []
    for field, lost in trials.lost.items():
        begin, end = longest_stretch(lost)
        if end == begin:
            fields.append(f"`{field}` lost in 0 of {lost.size}")
            continue
        first, last = (seconds(max(0.0, float(trials.offset[number]))) for number in (begin, end - 1))
        when = f"in all {end - begin} that were sent {first} to {last} after the {unit} began"
        fields.append(f"`{field}` lost in {lost.sum()} of {lost.size}, {when}")
    return f"Build {trials.build}, one write against one {unit}: {'; '.join(fields)}."


def longest_stretch(lost: Bools) -> tuple[int, int]:
    """The longest run of trials that were all lost: its first one, and the one after its last; equal if there is none.

    >>> longest_stretch(np.array([True, False, True, True, False]))
    (2, 4)
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(int)))
    if not edges.size:
        return 0, 0
    lengths = edges[1::2] - edges[::2]
    number = int(np.argmax(lengths))
    return int(edges[2 * number]), int(edges[2 * number + 1])


def timeline_words(counter: Counterfactual, case: Case, result: Result, name: str) -> str:
    """What a strategy does on the recorded timeline, and why that differs from the simulation where it must."""
    if name not in counter.clobbered or not counter.units:
        return ""
    rate = Rate(np.array([counter.clobbered[name]]), np.array([counter.units]))
    text = (
        f"On the timeline of {counter.recording.path.name.removesuffix('.jsonl.gz')}: {rate_text(rate)} of {case.words.units}."
    )
    missing = _sites_that_clobber(result, name) - _sites_of(counter, case)
    if missing:
        named = coded([site for site in case.sites if site in missing])
        text += f" It has no {named}, where the simulation finds what this strategy clobbers."
    return text


def _sites_that_clobber(result: Result, name: str) -> set[str]:
    return {site for site, count in zip(result.case.sites, result.by_site(name), strict=True) if count}


def _sites_of(counter: Counterfactual, case: Case) -> set[str]:
    return {case.sites[number] for number in np.unique(counter.recording.history.site)}
