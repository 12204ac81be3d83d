"""The sections of a case file that say how to read what a program leaves behind: recordings, logs, races; and its test's words.

None of them bears on a simulation. A case without a section refuses what needs it, in one line.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from pydantic import Field

from simlib.common.errors import InputError
from simlib.common.files import Strict

S = TypeVar("S")


class Known(NamedTuple):
    """The names that a case has; `flows` gives the write sites of each flow."""

    sites: list[str]
    flows: Mapping[str, list[str]]
    keys: list[str]
    strategies: list[str]


class Reference(NamedTuple):
    """A name used in a section: the place where it stands, the name, and what it may be."""

    place: str
    name: str
    known: list[str]


def _steps(place: str, flow: str, sites: Mapping[str, str], known: Known) -> Iterator[Reference]:
    """A flow of the case, and sites that must be its own."""
    yield Reference(f"{place}.flow", flow, list(known.flows))
    for key, site in sites.items():
        yield Reference(f"{place}.{key}", site, known.flows.get(flow, known.sites))


class OneWriteModel(Strict):
    """One write: the kind of its flow, and its site."""

    flow: str
    site: str

    def references(self, place: str, known: Known) -> Iterator[Reference]:
        """The names used."""
        yield from _steps(place, self.flow, {"site": self.site}, known)


class UnitModel(Strict):
    """A unit of work that outlives its request: it writes before it is accepted, when it starts, and when it has ended."""

    flow: str
    accepted: str = Field(description="the site that writes before the request is accepted")
    started: str = Field(description="the site that writes when the work starts")
    ended: str = Field(description="the site that writes when the work has ended")

    def references(self, place: str, known: Known) -> Iterator[Reference]:
        """The names used."""
        sites = {"accepted": self.accepted, "started": self.started, "ended": self.ended}
        yield from _steps(place, self.flow, sites, known)


class RecordingsModel(Strict):
    """What the lines of a store recording stand for. A line of a site with a snapshot of its own also tells what it read."""

    kinds: dict[str, OneWriteModel] = Field(description="kind of a line -> kind of its flow, and write site", min_length=1)

    def references(self, known: Known) -> Iterator[Reference]:
        """The names used."""
        for kind, write in self.kinds.items():
            yield from write.references(f"recordings.kinds.{kind}", known)


class LogUnitModel(UnitModel):
    """The request of a unit of work: its first response accepts it, its second one ends it."""

    method: str
    failed: str = Field(description="kind of the flows of units that fail, which end with the write of their start")


class LogWriteModel(OneWriteModel):
    """The request of an outside write, whose response says that it is done."""

    method: str


class LogModel(Strict):
    """What the request and response lines of a process's log stand for."""

    subsystem: str = Field(description="the one whose lines count")
    unit: LogUnitModel
    outside: LogWriteModel
    hint: str = Field("", description="how to have a log written that tells enough")

    def references(self, known: Known) -> Iterator[Reference]:
        """The names used."""
        yield from self.unit.references("log.unit", known)
        yield from self.outside.references("log.outside", known)


class RaceUnitModel(UnitModel):
    """The unit of work that races; `flow` fails at once after its start, `lasting` also writes when it ends."""

    lasting: str = Field(description="kind of traffic, in the workload, of a unit that lasts")
    sent: str = Field(description="key of a trial: milliseconds at which its request was sent")


class RaceWriteModel(OneWriteModel):
    """The outside write that races it."""

    sent: str = Field(description="key of a trial: milliseconds at which it was sent")
    ok: str = Field(description="key of a trial: whether it was done at all; other trials do not count")


class RacesModel(Strict):
    """Recorded races of one unit of work against one outside write, and the workload that models them."""

    workload: str
    builds: dict[str, str] = Field(description="version of the program -> the strategy that it ships")
    recordings: list[str] = Field([], description="recordings in data/recordings that a report shows beside its simulation")
    lost: dict[str, str] = Field(
        description="field -> key of a trial that says whether it was lost; windows are fitted to the first", min_length=1
    )
    unit: RaceUnitModel
    outside: RaceWriteModel

    def references(self, known: Known) -> Iterator[Reference]:
        """The names used."""
        yield from (Reference(f"races.builds.{build}", rule, known.strategies) for build, rule in self.builds.items())
        yield from (Reference("races.lost", field, known.keys) for field in self.lost)
        yield from self.unit.references("races.unit", known)
        yield from self.outside.references("races.outside", known)


class LoadsModel(Strict):
    """Recorded units of work under regular outside writes to the same record, and the workload that models them."""

    workload: str
    recordings: dict[str, str] = Field(description="name of a recording -> the strategy that it shows", min_length=1)
    unit: OneWriteModel
    outside: OneWriteModel

    def references(self, known: Known) -> Iterator[Reference]:
        """The names used."""
        yield from (Reference(f"loads.recordings.{name}", rule, known.strategies) for name, rule in self.recordings.items())
        yield from self.unit.references("loads.unit", known)
        yield from self.outside.references("loads.outside", known)


class RegressionTestModel(Strict):
    """What an exported regression test calls things: the names that the program's own tests use."""

    store_key: str = Field("record-1", description="key of the record in the store")
    key_name: str = Field("key", description="the constant that holds it")
    update: str = Field("updateStore", description="the function that updates the store under its lock")
    effective: str = Field("effective values", description="what `effective(entry, request)` gives")


class Sections(Strict):
    """The sections by name."""

    usual: str | None = Field(None, description="the workload that says what a calibration's source does not")
    recordings: RecordingsModel | None = None
    log: LogModel | None = None
    races: RacesModel | None = None
    loads: LoadsModel | None = None
    regression_test: RegressionTestModel = RegressionTestModel()

    def references(self, known: Known) -> Iterator[Reference]:
        """Every name of the case that a section uses."""
        for section in (self.recordings, self.log, self.races, self.loads):
            if section is not None:
                yield from section.references(known)


def needed(section: S | None, key: str, case: str, what: str) -> S:
    """The section `key`.

    Args:
        section: what the case has there.
        key: its place in the case file.
        case: name of the case.
        what: what needs it: a path or the like, at the start of the error.

    Raises:
        InputError: the case has none.
    """
    if section is None:
        raise InputError(f"{what}: case {case} has no section '{key}', which says how to read it")
    return section
