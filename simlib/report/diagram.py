"""One clobber drawn as a sequence diagram: the culprit, the store, and whoever wrote in between.

Time runs downwards, one row an event and not to scale; the store's lane shows the field's value along the way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from simlib.case.case import Case
from simlib.case.snapshots import readers, sources
from simlib.common.text import counted
from simlib.estimate.wording import seconds
from simlib.model.history import History
from simlib.replay.judging import KINDS
from simlib.replay.replay import Outcomes
from simlib.report.figure import ACCENT, FAINT, INK, SOFT, Figure, draw
from simlib.report.table import Columns

CULPRIT, STORE, OTHER = 0.0, 1.0, 2.0
Clock = Callable[[float], str]
"""How a time in a history is told."""
MOST_COMMITS = 4
"""Commits in between that are drawn; of more, the last ones."""


@dataclass(frozen=True)
class Event:
    """One row of the diagram.

    Attributes:
        time: seconds in the run.
        lane: who acts, CULPRIT or OTHER; `to_store`: whether the arrow points to the store.
        text: what happens; `value`: the field's value in the store from here on.
        wrong: whether this is the clobber.
    """

    time: float
    lane: float
    to_store: bool
    text: str
    value: str
    wrong: bool = False


@dataclass(frozen=True)
class Story:
    """A clobber as a sequence of events.

    Attributes:
        field, kind, racing: what was clobbered and how.
        culprit, other: headings of the outer lanes; `other` is empty if nobody wrote in between.
        start: the field's value in the store at the first event.
        right: what a serial execution would have committed.
    """

    field: str
    kind: str
    racing: bool
    culprit: str
    other: str
    start: str
    right: str
    events: tuple[Event, ...]

    def finding(self, clock: Clock = seconds) -> str:
        """The story in two sentences."""
        last = self.events[-1]
        took = clock(last.time - self.events[0].time)
        between = [event for event in self.events if event.lane == OTHER]
        how = f"{between[-1].text} meanwhile; " if between else ""
        race = "" if self.racing else " It happens with no concurrency, too."
        return (
            f"{self.culprit} works from {self.field} = {self.start}; {how}{took} after the read its merge leaves "
            f"{last.value} there ({self.kind}), where a serial execution would have left {self.right}.{race}"
        )


def tell(case: Case, outcomes: Outcomes, number: int) -> Story:
    """The events around one clobber.

    Args:
        case: the case.
        outcomes: the replay that it is from.
        number: its number among `outcomes.clobbers`.
    """
    history, clobbers = outcomes.history, outcomes.clobbers
    row, field = int(clobbers.culprit[number]), int(clobbers.field[number])
    name = case.fields[field]

    def value(code: int) -> str:
        return history.values.name(case.domains[name], int(code))

    def named(changed: int, code: int) -> str:
        text = history.values.name(case.domains[case.fields[changed]], int(code))
        return text if changed == field else f"{case.fields[changed]} = {text}"

    snapshot = int(history.snapshot[row])
    between = _changes(outcomes, row, field, snapshot)
    shown = between[-MOST_COMMITS:]
    reader = int(readers(history.site, history.flow, sources(case.snapshots, case.sites))[row])
    reader = row if reader < 0 else reader  # of a step that the recording lacks nobody knows the time
    stale, wrong = int(clobbers.stale[number]), int(clobbers.wrong[number])
    read_by = "reads" if reader == row else f"{case.sites[history.site[reader]]} reads"
    skipped = f" ({len(between) - len(shown)} earlier commits left out)" if len(shown) < len(between) else ""
    events = [Event(float(history.read[reader]), CULPRIT, False, f"{read_by} {name} = {value(stale)}{skipped}", value(stale))]
    for other, changed in shown:
        text = f"{_who(case, history, other)} commits {named(changed, outcomes.entries[other, changed])}"
        events.append(Event(float(history.end[other]), OTHER, True, text, value(outcomes.entries[other, field])))
    fresh = value(clobbers.fresh[number])
    # A snapshot that is read inside the lock (from the cache) is read after the commits it does not show.
    lock = Event(float(history.lock[row]), CULPRIT, False, f"has the lock, sees {fresh}, merges its patch", fresh)
    events = [*sorted(events, key=lambda event: event.time), lock]
    events.append(Event(float(history.end[row]), CULPRIT, True, f"commits {value(wrong)}", value(wrong), wrong=True))
    return Story(
        field=name,
        kind=KINDS[clobbers.kind[number]],
        racing=bool(clobbers.racing[number]),
        culprit=f"{_who(case, history, row)} of {history.session_names[history.session[row]]}",
        other=_who(case, history, shown[-1][0]) if shown else "",
        start=value(stale),
        right=value(clobbers.right[number]),
        events=tuple(events),
    )


def schedule(case: Case, outcomes: Outcomes, number: int) -> Figure:
    """The same of a history that tells a schedule, whose times are no seconds but say which step of it comes when."""
    return sequence(case, outcomes, number, _steps)


def _steps(value: float) -> str:
    return counted(round(value), "step")


def sequence(case: Case, outcomes: Outcomes, number: int, clock: Clock = seconds) -> Figure:
    """The clobber as a figure; arguments as of `tell`, and how a time is told."""
    story = tell(case, outcomes, number)
    started, finding = story.events[0].time, story.finding(clock)

    def drawing(figure: Canvas) -> None:
        axes = figure.subplots()
        _lanes(axes, story)
        for position, event in enumerate(story.events):
            _event(axes, position + 1, event)
            first = f"t = {clock(event.time)}" if clock is seconds else ""
            after = f"+{clock(event.time - started)}" if position else first
            axes.text(-0.62, position + 1, after, va="center", fontsize=8, color=SOFT)
            held = position + 1 < len(story.events)
            _value(axes, position + 1, event, until=position + 2 if held else position + 1.7)
        _frame(axes, len(story.events))

    frame = pd.DataFrame(
        {
            "after_s": event.time - started,
            "who": story.other if event.lane == OTHER else story.culprit,
            "what": event.text,
            "value": event.value,
            "first": not position,
        }
        for position, event in enumerate(story.events)
    )
    columns: Columns = {
        "after": lambda row: "0" if row["first"] else clock(row["after_s"]),
        "who": itemgetter("who"),
        "what": itemgetter("what"),
        f"{story.field} in the store then": itemgetter("value"),
    }
    alt = f"Sequence diagram of a clobber with {outcomes.strategy}. {finding}"
    return draw(frame, columns, (8, 1.3 + 0.42 * len(story.events)), drawing, finding=finding, alt=alt)


def _changes(outcomes: Outcomes, row: int, field: int, snapshot: int) -> list[tuple[int, int]]:
    """(row, field) of the commits to the same session between the snapshot and this row that changed the field.

    If none did, the commits that changed another field, and which: the rule looks at that one, too.
    """
    history = outcomes.history
    rows = np.flatnonzero((history.session == history.session[row]) & history.ok)
    rows = rows[(rows > snapshot) & (rows < row)]
    before = history.initial[history.session[row]] if snapshot < 0 else outcomes.entries[snapshot]
    entries = np.concatenate([before[None, :], outcomes.entries[rows]])
    changed = entries[1:] != entries[:-1]
    itself = [(int(other), field) for other in rows[changed[:, field]]]
    return itself or [(int(other), int(np.argmax(fields))) for other, fields in zip(rows, changed, strict=True) if fields.any()]


def _who(case: Case, history: History, row: int) -> str:
    kind, site = history.kinds[history.kind[row]], case.sites[history.site[row]]
    number = int(history.flow[row]) + 1
    return f"{site} #{number}" if kind == site else f"{site} of {kind} #{number}"


def _lanes(axes: Axes, story: Story) -> None:
    lanes = [(CULPRIT, story.culprit), (STORE, f"store: {story.field}"), (OTHER, story.other)]
    for lane, heading in lanes:
        if heading:
            axes.plot([lane, lane], [0.5, len(story.events) + 0.7], color=FAINT, linewidth=1, zorder=0)
            axes.text(lane, 0.15, heading, ha="center", va="center", weight="bold")


def _event(axes: Axes, position: int, event: Event) -> None:
    colour = ACCENT if event.wrong else INK
    ends = (event.lane, STORE) if event.to_store else (STORE, event.lane)
    axes.annotate(
        "",
        (ends[1], position),
        (ends[0], position),
        arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0},
    )
    middle = (event.lane + STORE) / 2
    axes.text(middle, position - 0.12, event.text, ha="center", va="bottom", fontsize=8, color=colour)


def _value(axes: Axes, position: float, event: Event, until: float) -> None:
    colour = ACCENT if event.wrong else INK
    axes.plot([STORE, STORE], [position, until], color=colour, linewidth=5, alpha=0.35, solid_capstyle="butt", zorder=1)
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": colour}
    axes.text(STORE, position + 0.42, event.value, ha="center", va="center", fontsize=8, color=colour, bbox=box, zorder=4)


def _frame(axes: Axes, events: int) -> None:
    axes.set_xlim(-0.65, 2.45)
    axes.set_ylim(events + 1.0, -0.2)
    axes.axis("off")
