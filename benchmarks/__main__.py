"""`python -m benchmarks [--quick] [--json]`: a table (or JSON) on stdout; JSON and a picture in reports/."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from benchmarks import measure


def table(found: dict[str, Any]) -> list[str]:
    """One line a figure."""
    ratios = [f"{name:34} {'not installed' if value is None else f'{value:,.2f}'}" for name, value in found["ratios"].items()]
    rates = [f"{name + ' a second':34} {value:,.0f}" for name, value in found["rates"].items()]
    others = ("seconds_to_1e-6", "seconds_to_1e-6_counted", "rate_found", "peak_memory_mb")
    rest = [f"{name:34} {found[name]:,.3g}" for name in others]
    grown = [
        f"{f'µs a transaction, {size} {name}':34} {cost:,.2f}"
        for name, costs in found["microseconds_per_transaction"].items()
        for size, cost in costs.items()
    ]
    return [*ratios, *rates, *rest, *grown]


def picture(found: dict[str, Any], path: str) -> None:
    """The ratios, and how the cost grows."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
    ratios = {name.replace("_", " "): value for name, value in found["ratios"].items() if value}
    left.barh(list(ratios), list(ratios.values()))
    left.set(xscale="log", xlabel="times faster (for the bare loop: slower)")
    left.invert_yaxis()
    for name, costs in found["microseconds_per_transaction"].items():
        right.plot([int(size) for size in costs], list(costs.values()), marker="o", label=name)
    right.set(xscale="log", xlabel="how many", ylabel="µs a transaction", ylim=(0, None))
    right.legend()
    figure.savefig(path)


if __name__ == "__main__":
    found = measure(quick="--quick" in sys.argv)
    reports = Path(__file__).resolve().parent.parent / "reports"
    reports.mkdir(exist_ok=True)
    (reports / "benchmarks.json").write_text(json.dumps(found, indent=2) + "\n")
    picture(found, str(reports / "benchmarks.svg"))
    print(json.dumps(found, indent=2) if "--json" in sys.argv else "\n".join(table(found)))
