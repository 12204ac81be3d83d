"""What each strategy would have done on a recorded timeline."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simlib.case.case import Case
from simlib.common.arrays import Ints
from simlib.replay.counts import count_json, tally
from simlib.replay.recording import Check, Recording, check
from simlib.replay.replay import replay_strategy


@dataclass(frozen=True)
class Counterfactual:
    """Every strategy on one recording. The times are the recorded ones, also for a strategy that would have changed them.

    Attributes:
        recording: the recording, and the strategy (`recording.rule`) that its build ran.
        check: whether that strategy reproduces the recording.
        units: units of work in the recording.
        clobbered: strategy -> units that clobber at least one field.
        fields: strategy -> (fields, kinds) clobbered fields.
        writes, lost: field writes by sites of role `write`, and strategy -> how many of them were lost.
        left_out: strategies that are not judged: with their guards, locks or snapshots there would have been another timeline.
    """

    recording: Recording
    check: Check
    units: int
    clobbered: Mapping[str, int]
    fields: Mapping[str, Ints]
    writes: int
    lost: Mapping[str, int]
    left_out: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """A row per strategy: counts, and `strategy`, `recorded` (the build ran it), `clobber_rate` (a share)."""
        return pd.DataFrame(
            {
                "strategy": name,
                "recorded": name == self.recording.rule,
                "units": self.units,
                "clobbered_units": count,
                "clobber_rate": count / self.units if self.units else math.nan,
                "clobbered_fields": int(self.fields[name].sum()),
                "writes": self.writes,
                "lost_writes": self.lost[name],
            }
            for name, count in self.clobbered.items()
        )

    def to_json(self, case: Case) -> dict[str, Any]:
        """The counts as `simlib replay --json` prints them; a rate of no units is null. `case` is the recording's."""
        return {
            "recording": self.recording.path.name,
            "build": self.recording.build,
            "rule": self.recording.rule,
            "transactions": len(self.recording.history),
            "committed": self.check.committed,
            "entries_reproduced": self.check.entries_reproduced,
            "clobbered_fields_recorded": self.check.clobbered_recorded,
            "clobbered_fields_reproduced": self.check.clobbered_reproduced,
            "exact": self.check.exact,
            "mismatches": list(self.check.mismatches),
            "counterfactual": {
                row["strategy"]: {
                    "clobber_rate": row["clobber_rate"] if self.units else None,
                    "by_field": count_json(case, self.fields[row["strategy"]]),
                }
                for row in self.to_frame().to_dict("records")
            },
            **({"left_out": list(self.left_out)} if self.left_out else {}),
        }


def counterfactual(case: Case, recording: Recording, strategies: Sequence[str] = ()) -> Counterfactual:
    """What each strategy would have done on the timeline of a recording.

    Args:
        case: the recording's case.
        recording: as `read_recording` gives it.
        strategies: names; none means all. The recorded rule is always among them. Those whose discipline is not plain are left
            out: who compares and tries again, or takes other locks, does not read and commit when others did.

    Raises:
        InputError: an unknown strategy.

    Examples:
        >>> from simlib import load_case
        >>> from simlib.common.shipped import CASE
        >>> from simlib.replay.recording import find_recording, read_recording
        >>> case = load_case(CASE)
        >>> recording = read_recording(find_recording("store-2026.4.22-two-processes"), case)
        >>> found = counterfactual(case, recording, ["after-19328", "in-mutator"])
        >>> found.check.exact, found.units, found.clobbered
        (True, 681, {'after-19328': 5, 'in-mutator': 0, 'before-19328': 7})
    """
    asked = list(dict.fromkeys([*(strategies or case.strategies), recording.rule]))
    names = [name for name in asked if name == recording.rule or case.is_plain(case.strategy(name).discipline)]
    serial = replay_strategy(case, case.reference, recording.history)
    tallies = {name: tally(case, replay_strategy(case, case.strategy(name), recording.history), serial) for name in names}
    first = tallies[names[0]]
    return Counterfactual(
        recording=recording,
        check=check(case, recording),
        units=first.units,
        clobbered={name: tallies[name].clobbered_units for name in names},
        fields={name: tallies[name].clobbers.sum(axis=(0, 3)) for name in names},
        writes=first.writes,
        lost={name: tallies[name].lost for name in names},
        left_out=tuple(name for name in asked if name not in names),
    )
