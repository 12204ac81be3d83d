"""A workload: who asks for what, how often, and how long the steps take; YAML in, validated model out.

`load_workload("busy-team", ["traffic.patch.rate=2"])` reads data/workloads/busy-team.yaml and overrides a scalar.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, Tag, model_validator
from pydantic import Discriminator as ByKey

from simlib.case.case import Case
from simlib.case.snapshots import WORDS
from simlib.common import bounds
from simlib.common.bounds import Bounds
from simlib.common.errors import InputError, allowed, choose, shown
from simlib.common.files import Strict, load_yaml, validated
from simlib.common.shipped import find, find_beside
from simlib.workload.distributions import Constant, Distribution
from simlib.workload.overrides import set_override


def _between(limits: Bounds) -> Any:
    """The constraint on a number of a file; where there is no low end but zero, what it means says whether zero is allowed."""
    return Field(ge=limits.low, le=limits.high)


Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, _between(bounds.SECONDS)]
SomeSeconds = Annotated[float, Field(gt=0, le=bounds.LONGEST)]
Pause = Annotated[float, _between(bounds.PAUSE)]
Period = Annotated[float, _between(bounds.PERIOD)]
Process = Annotated[int, Field(ge=0, lt=bounds.PROCESSES.high)]
MANY = 1_000_000_000
"""The size of a domain in which two draws practically never agree; `many` in YAML."""


def _kind_of_domain(data: Any) -> str | None:
    return "names" if isinstance(data, list) else "number" if isinstance(data, int) else "many" if data == "many" else None


Domain = Annotated[
    Annotated[list[str], Field(min_length=1), Tag("names")]
    | Annotated[int, Field(gt=0, le=MANY), Tag("number")]
    | Annotated[Literal["many"], Tag("many")],
    ByKey(
        _kind_of_domain,
        custom_error_type="unknown_domain",
        custom_error_message="not a domain; write a list of names, a number of them, or many",
    ),
]
"""The values of a domain: their names, how many there are, or `many`."""


class Sessions(Strict):
    """The sessions that share the store, and how traffic spreads over them."""

    count: Annotated[int, _between(bounds.SESSIONS)] = Field(description="how many")
    popularity: Literal["uniform", "zipf"] = "uniform"
    exponent: Annotated[float, _between(bounds.EXPONENT)] = Field(
        1.0, description="of the Zipf law: the k-th session's share is proportional to k**-exponent"
    )
    initial: list[str] = Field([], description="fields that every session has from the start")


class Store(Strict):
    """The store file and the processes on it. Times in seconds."""

    gateways: Annotated[int, _between(bounds.PROCESSES)] = Field(
        1, description="processes that share the file, each with its own cache and FIFO queue"
    )
    cache_ttl: Seconds = Field(45.0, description="how long a cached copy may be used; less long if the file's mtime changes")
    mtime_tick: Seconds = Field(0.004, description="the resolution of the file's mtime; 0 is exact")
    lock_poll: Pause = Field(
        0.05, description="pause before the n-th new try for a lock file that another process holds: n times this"
    )
    lock_poll_max: Pause = Field(1.0, description="the longest such pause")
    lock_timeout: SomeSeconds = Field(
        10.0,
        description="a transaction that has waited this long for the lock gives up: its write fails, and its caller is told",
    )
    release: Seconds = Field(0.0, description="how long the lock stays taken after a commit, which readers see at once")


class Poisson(Strict):
    """Independent arrivals."""

    kind: Literal["poisson"] = "poisson"


class Bursty(Strict):
    """Poisson arrivals during exponential busy periods, none during idle ones; `rate` is the long-run mean."""

    kind: Literal["bursty"]
    busy: Period = Field(description="mean length of a busy period, seconds")
    idle: Period = Field(description="mean length of an idle period, seconds")


class Periodic(Strict):
    """One arrival each 1/rate seconds from a random phase, each moved by up to `jitter` of the period."""

    kind: Literal["periodic"]
    jitter: Share = 0.0


class Diurnal(Strict):
    """Poisson arrivals whose rate swings by `amplitude` around the mean with the given period."""

    kind: Literal["diurnal"]
    period: Period = Field(86400.0, description="seconds")
    amplitude: Share = 0.8


class Recorded(Strict):
    """Arrivals at given times; `rate` is not used."""

    kind: Literal["recorded"]
    times: list[Seconds] = Field(description="seconds from the start")


def _short_arrivals(data: Any) -> Any:
    return {"kind": data} if isinstance(data, str) else data


Arrivals = Annotated[
    Annotated[Poisson | Bursty | Periodic | Diurnal | Recorded, Field(discriminator="kind")], BeforeValidator(_short_arrivals)
]


class Ask(Strict):
    """One shape of request: the keys it names a value for, and those it clears."""

    weight: Annotated[float, _between(bounds.WEIGHT)] = 1.0
    ask: list[str] = []
    clear: list[str] = []


def _not_tiny(rate: float) -> float:
    if 0 < rate < bounds.RAREST:
        raise ValueError(f"{rate!r} is too small; allowed: 0, or {bounds.RAREST:g} to {bounds.RATE.high:,.0f} a second")
    return rate


class Flow(Strict):
    """A chain of transactions at the named write sites, one after the other, that a request sets off."""

    rate: Annotated[float, _between(bounds.RATE), AfterValidator(_not_tiny)] = Field(
        description="per second, all sessions together"
    )
    arrivals: Arrivals = Poisson()
    gateways: list[Process] = Field([], description="the processes it may arrive at, by number; none named: any")
    sessions: Literal["one", "all"] = Field(
        "one",
        description="one: it is for one session, by their popularity; all: it sets off a flow for each session, in their "
        "order, at one process, as a timer does that flushes every record",
    )
    steps: dict[str, list[Ask]] = Field(
        min_length=1,
        max_length=int(bounds.STEPS.high),
        description="write site -> shapes of its request, in the order they happen",
    )

    def expected(self, seconds: float) -> float:
        """How many arrivals are expected in so many seconds."""
        return len(self.arrivals.times) if isinstance(self.arrivals, Recorded) else self.rate * seconds

    def flows(self, sessions: int) -> int:
        """How many flows each arrival sets off, if there are so many sessions."""
        return sessions if self.sessions == "all" else 1


class Times(Strict):
    """How long a transaction at one write site takes, part by part. Times in seconds.

    Attributes:
        after: from the moment when the flow's previous step has let go of the lock until this step reads; not used by a first
            step, which reads when its flow arrives.
        prepare: from the read until the transaction queues for the lock, without `compute`.
        compute: computing the patch; after `prepare` and before the queue, or within the lock and added to `hold` if the
            strategy names the site in `in_lock`.
        hold: from the grant of the lock until the commit. The lock is free `Store.release` later.
        check: what it costs to find out whether a guard lets the write through; in the lock, before the comparison.
        gap: between the comparison and the write, where a guard is not `atomic`.
        lag: how far behind a replica is from which a `lagged` snapshot is read.
    """

    after: Distribution = Constant(value=0.0)
    prepare: Distribution = Constant(value=0.0)
    compute: Distribution = Constant(value=0.0)
    hold: Distribution
    check: Distribution = Constant(value=0.0)
    gap: Distribution = Constant(value=0.0)
    lag: Distribution = Constant(value=0.0)


DESCRIPTIVE = {"workload", "about", "case", "replicates", "times_from", "sources", "hours_per_day"}
"""Keys of a workload that no replicate depends on."""


class Workload(Strict):
    """A validated workload file; the comments in data/workloads/busy-team.yaml explain every key."""

    workload: str = Field(min_length=1, max_length=int(bounds.NAME.high))
    about: str
    case: str
    duration: Annotated[float, _between(bounds.DURATION)] = Field(description="seconds of arrivals simulated in each replicate")
    replicates: Annotated[int, _between(bounds.REPLICATES)] = 20
    sessions: Sessions
    store: Store = Store()
    values: dict[str, Domain] = Field(description="domain -> its values, or how many there are")
    traffic: dict[str, Flow] = Field(min_length=1, max_length=int(bounds.KINDS.high))
    times: dict[str, Times]
    times_from: str = Field(
        "", max_length=200, description="another program's workload that the times were taken from; every output says so"
    )

    sources: dict[str, Annotated[str, Field(pattern=r"^(measured|chosen): \S", max_length=300)]] = Field(
        {}, description="key of this file, as with --set -> where its value is from: `measured: from what`, or `chosen: why`"
    )
    hours_per_day: Annotated[float, Field(gt=0, le=24)] | None = Field(
        None, description="how many hours of a day this traffic lasts; not given where it was chosen to see effects"
    )

    def warning(self) -> str:
        """What every output says first, if the times are another program's; else nothing."""
        return (
            f"The times are those of {self.times_from}, another program: every figure rests on them." if self.times_from else ""
        )

    @model_validator(mode="after")
    def _names_fit(self) -> "Workload":
        expected = self.expected_transactions()
        if expected > bounds.TRANSACTIONS.high:
            raise ValueError(
                f"duration: {self.duration:g} s with these rates are some {expected:.2g} transactions; "
                f"allowed: {bounds.TRANSACTIONS.high:,} a replicate"
            )
        for key in self.sources:
            if not _has(self.model_dump(), key):
                raise ValueError(
                    f"sources.{key}: no such key in this workload; allowed: one as with --set, as traffic.NAME.rate"
                )
        used = {site for flow in self.traffic.values() for site in flow.steps}
        for site in sorted(used - set(self.times)):
            raise ValueError(f"times: no entry for write site '{site}', which a flow uses")
        for name, flow in self.traffic.items():
            for gateway in flow.gateways:
                if gateway >= self.store.gateways:
                    raise ValueError(
                        f"traffic.{name}.gateways: {gateway} is not there; allowed: 0 to {self.store.gateways - 1}"
                    )
        return self

    def expected_transactions(self) -> float:
        """How many transactions are expected in one replicate."""
        return sum(
            len(flow.steps) * flow.flows(self.sessions.count) * flow.expected(self.duration) for flow in self.traffic.values()
        )

    def flow_rate(self, flow: Flow) -> float:
        """Flows a second of one kind, whose arrivals are not recorded."""
        return flow.rate * flow.flows(self.sessions.count)

    def domain_size(self, domain: str) -> int:
        """How many values the domain has."""
        values = self.values[domain]
        return len(values) if isinstance(values, list) else MANY if values == "many" else values

    def check_case(self, case: Case, source: str) -> None:
        """Refuse names that the case does not have.

        Raises:
            InputError: a site, a request key, a field or a domain is unknown.
        """
        for name, flow in self.traffic.items():
            place = f"{source}: traffic.{name}.steps"
            for site, asks in flow.steps.items():
                _check(place, site, case.sites)
                inherits = case.snapshots[case.sites.index(site)]
                earlier = list(flow.steps)[: list(flow.steps).index(site)]
                if inherits not in (*WORDS, *earlier):
                    raise InputError(
                        f"{place}.{site}: inherits the snapshot of {inherits}, which is no earlier step of this flow"
                    )
                for strategy in case.strategies.values():
                    own = strategy.discipline.snapshots[case.sites.index(site)]
                    if own not in (*WORDS, *earlier):
                        raise InputError(
                            f"{place}.{site}: inherits the snapshot of {shown(own)} with strategy {strategy.name}, which is no "
                            f"earlier step of this flow; {allowed([*WORDS, *earlier])}"
                        )
                for key in (key for ask in asks for key in (*ask.ask, *ask.clear)):
                    _check(f"{place}.{site}", key, case.request)
                    _check(f"{source}: values (needed by {name}.{site}, {key})", case.domains[key], tuple(self.values))
        for field in self.sessions.initial:
            _check(f"{source}: sessions.initial", field, case.fields)
            _check(f"{source}: values (needed by sessions.initial, {field})", case.domains[field], tuple(self.values))
        for site in self.times:
            _check(f"{source}: times", site, case.sites)


def _has(data: Any, key: str) -> bool:
    """Whether nested mappings have a value under `key.key`."""
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return False
        data = data[part]
    return True


def _check(place: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise InputError(f"{place}: {shown(name)} is not known; {choose(name, known)}")


def load_workload(name: str, overrides: Sequence[str] = ()) -> Workload:
    """A workload by its shipped name or by the path of its YAML file.

    Args:
        name: `busy-team`, or `path/to/mine.yaml`.
        overrides: `key.key=value`; the value is YAML, the keys are those of the file (a number picks from a list).

    Raises:
        InputError: what is wrong, and where.

    Examples:
        >>> workload = load_workload("busy-team", ["traffic.patch.rate=2", "sessions.count=5"])
        >>> workload.traffic["patch"].rate, workload.sessions.count
        (2.0, 5)
    """
    path = find("workloads", name)
    data = load_yaml(path)
    for override in overrides:
        set_override(data, override, str(path))
    data["case"] = find_beside(path, "cases", data.get("case"))
    return validated(Workload, data, f"{path}{' with --set' * bool(overrides)}")
