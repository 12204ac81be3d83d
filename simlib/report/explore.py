"""The explorer: a workload whose traffic and windows a reader moves, what strategies then leave clobbered, and any clobber.

Without a kernel, or where nobody renders widgets, it shows the state in which it was last run.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ipywidgets as widgets
import numpy as np

from simlib.case.case import Case, load_case
from simlib.common import bounds
from simlib.common.arrays import Ints
from simlib.common.errors import InputError, SimlibError
from simlib.estimate.experiment import run, timelines
from simlib.estimate.levers import with_traffic, with_windows
from simlib.estimate.result import Result
from simlib.replay.replay import replay_strategy
from simlib.report.charts import clobber_rates
from simlib.report.diagram import sequence
from simlib.report.efforts import efforts
from simlib.report.html import Html, paragraphs
from simlib.workload.workload import Workload, load_workload

FEW = 8
"""Replicates while a slider moves."""
REST = 0.3
"""Seconds for which nothing has moved before all replicates are run."""
WIDEST = 4.0
"""A slider goes from one in so many to so many times the workload's own."""
WIDTH = "26em"
"""Of a slider with its name and its value."""


@dataclass(frozen=True)
class Setting:
    """What the reader chooses: so many times the traffic and the windows, a strategy, and another one (none if empty)."""

    traffic: float
    windows: float
    strategy: str
    cure: str

    def apply(self, workload: Workload) -> Workload:
        """The workload with this traffic and these windows.

        Raises:
            InputError: it is beyond what a workload may have.
        """
        return with_windows(with_traffic(workload, self.traffic), self.windows)


@dataclass(frozen=True)
class Explored:
    """One setting, run; the first strategy of the result is what the others are compared with."""

    setting: Setting
    result: Result

    def about(self) -> Html:
        """What was run."""
        result, setting = self.result, self.setting
        return paragraphs(
            f"`{result.workload.workload}` with {setting.traffic:.3g} times its traffic, and {setting.windows:.3g} times as "
            f"long without the lock: {result.replicates} replicates, {result.transactions:,} transactions, seed {result.seed}."
        )

    def rates(self) -> Html:
        """How often each strategy clobbers, and what guards and locks of its own come to."""
        return Html(clobber_rates(self.result)._repr_html_() + efforts(self.result)._repr_html_())

    @cached_property
    def _until(self) -> Mapping[str, Ints]:
        """Strategy -> (replicates,) clobbers up to the end of each replicate."""
        counts = {name: self.result.numbers(name)["clobbered_fields"].sum(axis=1) for name in self.result.strategies}
        return {name: np.cumsum(each, dtype=np.int64) for name, each in counts.items()}

    def clobbers(self, strategy: str) -> int:
        """How many there are, over all replicates."""
        return int(self._until[strategy][-1])

    def clobber(self, strategy: str, number: int) -> Html:
        """The sequence diagram of one clobber of a strategy, counted from 0 over all replicates."""
        if not self.clobbers(strategy):
            return paragraphs(f"`{strategy}` clobbers nothing in this run.")
        result, until = self.result, self._until[strategy]
        replicate = int(np.searchsorted(until, number, side="right"))
        before = int(until[replicate - 1]) if replicate else 0
        history = timelines(result.workload, result.case, [strategy], result.seed, replicate, result.engine)[strategy]
        outcomes = replay_strategy(result.case, result.case.strategy(strategy), history)
        return Html(sequence(result.case, outcomes, number - before)._repr_html_())


def explore(workload: Workload, case: Case, setting: Setting, *, seed: int, replicates: int) -> Explored:
    """Run one setting.

    Raises:
        InputError: it is beyond what a workload may have, or a strategy is unknown.
    """
    names = [name for name in (case.baseline, setting.strategy, setting.cure) if name]
    return Explored(setting, run(setting.apply(workload), case, names, seed=seed, replicates=replicates, jobs=1))


class Explorer:
    """Sliders and menus, and below them what the run at their values shows; see `study`."""

    def __init__(self, workload: Workload, case: Case, setting: Setting, *, seed: int, replicates: int) -> None:
        self.workload, self.case, self.seed, self.replicates = workload, case, seed, replicates
        plain = [name for name, each in case.strategies.items() if case.is_plain(each.discipline)]
        cures = [("none", ""), *((name, name) for name in case.strategies if name not in plain)]
        self.traffic = _slider("traffic ×", setting.traffic)
        self.windows = _slider("windows ×", setting.windows)
        self.strategy = widgets.Dropdown(options=plain, value=setting.strategy, description="strategy")
        self.cure = widgets.Dropdown(options=cures, value=setting.cure, description="cure")
        self.whose = widgets.Dropdown(options=[setting.strategy], description="clobbers of")
        self.number = widgets.IntSlider(min=1, max=1, description="which one", layout={"width": WIDTH})
        self.about, self.rates, self.diagram = (widgets.HTML() for _ in range(3))
        self.explored = explore(workload, case, setting, seed=seed, replicates=replicates)
        self.refining: asyncio.Task[None] | None = None
        self._show()
        for moved in (self.traffic, self.windows, self.strategy, self.cure):
            moved.observe(self._moved, "value")
        for chosen in (self.whose, self.number):
            chosen.observe(self._draw, "value")
        self.view = widgets.VBox(
            [
                widgets.HBox([self.traffic, self.windows]),
                widgets.HBox([self.strategy, self.cure]),
                *(self.about, self.rates),
                widgets.HBox([self.whose, self.number]),
                self.diagram,
            ]
        )

    @property
    def setting(self) -> Setting:
        """Where the sliders and menus stand."""
        return Setting(self.traffic.value, self.windows.value, self.strategy.value, self.cure.value)

    def _moved(self, _: object) -> None:
        """Show something at once, from few replicates, and the rest when nothing moves any more."""
        self._run(min(FEW, self.replicates))
        if self.refining:
            self.refining.cancel()
        self.refining = asyncio.get_running_loop().create_task(self._refine())

    async def _refine(self) -> None:
        await asyncio.sleep(REST)
        self._run(self.replicates)

    def _run(self, replicates: int) -> None:
        try:
            self.explored = explore(self.workload, self.case, self.setting, seed=self.seed, replicates=replicates)
        except SimlibError as error:  # for the reader, who has no cell to look at
            self.about.value = paragraphs(f"**{error}**").text
        else:
            self._show()

    def _show(self) -> None:
        self.about.value, self.rates.value = self.explored.about().text, self.explored.rates().text
        names = self.explored.result.strategies
        if self.whose.options != names:
            kept = self.whose.value if self.whose.value in names else self.explored.setting.strategy
            self.whose.options = names
            self.whose.value = kept
        self._draw()

    def _draw(self, _: object = None) -> None:
        self.number.max = max(1, self.explored.clobbers(self.whose.value))
        self.diagram.value = self.explored.clobber(self.whose.value, self.number.value - 1).text

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        shown = "".join(part.value for part in (self.about, self.rates, self.diagram))
        return {**self.view._repr_mimebundle_(), "text/html": shown}


def _slider(name: str, value: float) -> Any:
    end = np.log2(WIDEST)
    return widgets.FloatLogSlider(
        value, base=2, min=-end, max=end, step=0.25, description=name, readout_format=".2f", layout={"width": WIDTH}
    )


def study(
    workload: str,
    *,
    case: str = "",
    overrides: Sequence[str] = (),
    seed: int = 1,
    replicates: int = 40,
    traffic: float = 1.0,
    windows: float = 1.0,
    strategy: str = "",
    cure: str = "",
) -> Explorer:
    """The explorer of a workload, run at one setting.

    Args:
        workload: name or path.
        case: name or path; the workload's own if empty.
        overrides: `key.key=value` for the workload.
        seed: root of the random streams.
        replicates: at each setting, when nothing moves any more; at least 2.
        traffic: how many times the workload's own, as of `with_traffic`; from 1/WIDEST to WIDEST.
        windows: likewise, as of `with_windows`.
        strategy: one with the usual locks; the case's baseline if empty.
        cure: one with guards or locks of its own; none if empty.

    Raises:
        InputError: anything in the input that does not fit.
    """
    model = load_workload(workload, overrides)
    compiled = load_case(case or model.case)
    bounds.GATE_REPLICATES.check("replicates", replicates)
    for name, factor in (("traffic", traffic), ("windows", windows)):
        if not 1 / WIDEST <= factor <= WIDEST:
            raise InputError(f"{name}: {factor:g} is out of range; allowed: {1 / WIDEST:g} to {WIDEST:g}")
    chosen = compiled.strategy(strategy or compiled.baseline)
    if not compiled.is_plain(chosen.discipline):
        raise InputError(f"strategy: {chosen.name} has guards or locks of its own; give it as `cure`")
    if cure and compiled.is_plain(compiled.strategy(cure).discipline):
        raise InputError(f"cure: {cure} has no guards or locks of its own; give it as `strategy`")
    return Explorer(model, compiled, Setting(traffic, windows, chosen.name, cure), seed=seed, replicates=replicates)
