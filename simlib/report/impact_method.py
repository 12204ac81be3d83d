"""The end of the fix-impact report: how it was computed, on which assumptions, and how to do it again."""

import math
import shlex
from collections.abc import Sequence

import yaml

from simlib.common.text import counted
from simlib.estimate.experiment import FEW
from simlib.estimate.result import Result
from simlib.report.html import Html, bullets, coded, safe
from simlib.report.take_away import again, numbers
from simlib.workload.workload import Workload

ASSUMPTIONS = (
    "A transaction reads, prepares, queues, takes the lock, holds it, commits. The lock is per store file and first come, "
    "first served within a process; across processes it is a polled lock file. "
    "What a strategy does otherwise stands in its rules.",
    "The rates and the mix are the workload's; times are independent of each other and of the load. The workload file says "
    "what was measured and what was chosen.",
    "A strategy changes when locks are held, what is read, and which writes are let through, and nothing else about the "
    "traffic: nobody sends a message again because a reply went astray or a unit of work failed.",
    "Two values that happen to be equal cannot clobber each other: a small domain hides clobbers, as it does in life.",
    "Intervals are for one comparison each, at 95 %, from replicate totals; nothing is corrected for comparing several.",
)


def method(result: Result, command_line: str) -> Html:
    """How it was computed, on which assumptions, its numbers, and the command that does it again."""
    model, case = result.workload, result.case
    timelines = len({case.strategy(name).discipline for name in result.strategies})
    facts = [
        f"{counted(result.replicates, 'replicate')} of {model.duration:g} s each, seed {result.seed}, engine {result.engine}: "
        f"{result.transactions:,} transactions on {counted(timelines, 'timeline')}.",
        f"SimPy and compiled histories identical: {result.checked:,} transactions of the first replicate."
        if result.checked
        else "Everything was simulated with SimPy.",
        "Strategies that get at the store in the same way are judged on the very same timelines; the others on timelines with "
        f"the same draws. Differences are paired by replicate{_paired_gain(result)}.",
        "The replicate is the unit: rates are ratio estimates with a t interval on the logit scale. A count of zero is "
        f"given the 95 % upper bound of that many {case.words.units}, "
        "divided by the clustering that the baseline shows (1 if none).",
        *_conditional(result),
    ]
    return Html(
        bullets(facts).text
        + numbers(result).text
        + "<p>To make this page again:</p>"
        + again(command_line).text
        + "<p>Assumptions:</p>"
        + bullets([*ASSUMPTIONS, *case.assumptions]).text
        + f"<details><summary>The workload</summary><pre>{_escaped_yaml(model)}</pre></details>"
    )


def _conditional(result: Result) -> list[str]:
    """For rates that were not simply counted: how they came about, and what that gained."""
    gains = [
        f"`{name}` {counted.standard_error**2 / rate.standard_error**2:,.0f} times"
        for name, rate in result.conditional.items()
        if (counted := result.clobber_rate(name)).standard_error and rate.standard_error
    ]
    if not result.conditional:
        return []
    gain = f" The variance is smaller than that of counting: {', '.join(gains)}." if gains else ""
    return [
        f"Fewer than {FEW} clobbered {result.case.words.units} were seen with "
        f"{coded([*result.conditional])}. Their rates are by "
        f"conditional Monte Carlo: the probability that a flow which commits during one "
        f"{result.case.words.unit} is of the same record stands in the place of 0 or 1. That is unbiased.{gain}"
    ]


def _paired_gain(result: Result) -> str:
    """What pairing saves: the least and the greatest variance ratio of the differences."""
    clobber = [name for name in result.strategies if result.best_rate(name).estimate > 0]
    ratios = [difference.variance_ratio for difference in map(result.difference, clobber) if difference]
    ratios = [ratio for ratio in ratios if math.isfinite(ratio)]
    if not ratios:
        return ""
    factor = f"{min(ratios):,.1f} to {max(ratios):,.0f}"
    return f"; for the same precision independent runs would need {factor} times as many replicates"


def command(result: Result, workload: str, overrides: Sequence[str], case: str, recording: str) -> str:
    """The command that makes the same report; names as the user gave them."""
    words = ["simlib", "report", workload, "--seed", str(result.seed), "--replicates", str(result.replicates)]
    for override in overrides:
        words += ["--set", override]
    if case:
        words += ["--case", case]
    if set(result.strategies) != set(result.case.strategies):
        words += [word for name in result.strategies for word in ("--strategy", name)]
    if result.engine != "compiled":
        words += ["--engine", result.engine]
    return shlex.join([*words, "--recording", recording])


def _escaped_yaml(model: Workload) -> str:
    dumped = yaml.safe_dump(model.model_dump(mode="json", exclude_defaults=True), sort_keys=False, width=110)
    return "\n".join(map(safe, dumped.split("\n")))
