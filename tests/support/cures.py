"""Disciplines that a real store can carry out, as strategies of the shipped case: for tests of the testbed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schedules import CASE

from simlib.case.case import Case
from simlib.case.discipline import Guard, Lock, Pause, plain

EVERYWHERE = frozenset(CASE.sites)
FIELDS = ("lastChannel", "lastTo", "lastAccountId", "lastThreadId", "channel", "label")
BARE: Mapping[str, Any] = {"locks": ()}
RETRIES = Pause(first=0.01, factor=2.0, cap=0.05, jitter=0.5)


def lock(scope: Any, span: Any, **more: Any) -> dict[str, Any]:
    """One lock, which every site takes."""
    return {"locks": (Lock(scope, span, EVERYWHERE, **more),)}


def guarded(guard: Guard) -> dict[str, Any]:
    """The guard at every site."""
    return {"guards": (guard,) * len(CASE.sites)}


def cured(rules: str = "after-19328", **parts: Any) -> Case:
    """The shipped case with a strategy `cured` more: those rules, under the usual discipline but for these parts of it."""
    discipline = replace(plain(CASE.sites, CASE.snapshots), rules_of="cured", **parts)
    return replace(
        CASE, strategies={**CASE.strategies, "cured": replace(CASE.strategy(rules), name="cured", discipline=discipline)}
    )
