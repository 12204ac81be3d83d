"""A Dask cluster as the engine of a sweep: the same function on the same blocks, on processes of any number of hosts.

What a worker makes comes back to the client, which is the only one that writes: no path needs to be shared.
"""

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib import metadata
from typing import TYPE_CHECKING, Any

from simlib.common.errors import InputError, RunError
from simlib.estimate.stored import MODEL_VERSION, STORED_VERSION
from simlib.sweep.block import Job

if TYPE_CHECKING:
    from distributed import Client, Future

    from simlib.sweep.sweep import Outcome, Task

AHEAD = 2
"""Items given out for each thread of the cluster: one at work and one that waits, so that the scheduler holds few."""
PATIENCE = "20s"
"""How long it waits for a scheduler to answer."""


class OnDask:
    """The engine; see `sweep.Engine`."""

    def __init__(self, client: "Client", task: "Task") -> None:
        self._client, self._task = client, client.scatter(task, broadcast=True, hash=False)
        self._at_work: dict[Future, Sequence[Job]] = {}

    @property
    def free(self) -> int:
        """How many more items can be given out now; at least one worker is waited for."""
        threads: int = sum(worker["nthreads"] for worker in self._client.scheduler_info(n_workers=-1)["workers"].values())
        return AHEAD * max(1, threads) - len(self._at_work)

    def give(self, item: Sequence[Job]) -> None:
        """Have an item worked out."""
        self._at_work[self._client.submit(_call, self._task, item, pure=False, retries=0)] = item

    def close(self) -> None:
        """Let the cluster forget what it was given."""
        self._client.cancel([*self._at_work, self._task], force=True)

    def collect(self) -> "list[Outcome]":
        """Wait until something is done; each item with its result, or with the error that it ended in."""
        from distributed import wait

        done, _ = wait(list(self._at_work), return_when="FIRST_COMPLETED")
        return [(self._at_work.pop(future), _result(future)) for future in done]


def _call(task: "Task", jobs: Sequence[Job]) -> list[bytes | str]:
    return task(jobs)


def _result(future: "Future") -> "list[bytes | str] | Exception":
    error = future.exception()
    return future.result() if error is None else RunError(" ".join(f"{type(error).__name__}: {error}".split()))


@contextmanager
def on_dask(address: str, jobs: int | None, task: "Task") -> Iterator[OnDask]:
    """The engine on the cluster whose scheduler is at `address`; `local`: on a cluster of `jobs` processes made here.

    Raises:
        InputError: Dask is not installed, or nobody answers there.
        RunError: a worker has another simlib, Python or NumPy.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError("--dask needs the package distributed: pip install 'simlib[dask]'") from None
    try:
        if address == "local":
            logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it logs the end of its own workers as errors
            cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, dashboard_address=None)
            client = Client(cluster)
        else:
            cluster, client = None, Client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(f"--dask {address}: no scheduler answers there: {' '.join(str(error).split())[:120]}") from None
    with ExitStack() as stack:
        if cluster is not None:
            stack.enter_context(cluster)
        stack.enter_context(client)
        _check_versions(client)
        engine = OnDask(client, task)
        stack.callback(engine.close)
        yield engine


def _check_versions(client: "Client") -> None:
    for worker, theirs in client.run(versions).items():
        check_versions(worker, theirs, versions())


def check_versions(worker: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuse a worker that could make other bytes.

    Raises:
        RunError: names the worker, what differs, and both versions.
    """
    for name, version in ours.items():
        if theirs.get(name) != version:
            raise RunError(
                f"the Dask worker {worker} has {name} {theirs.get(name)}, and here it is {version}; allowed: the same"
            )


def versions() -> dict[str, Any]:
    """What must be the same wherever blocks are simulated, so that their bytes are."""
    import numba
    import numpy
    import pyarrow
    import scipy

    return {
        "Python": ".".join(map(str, sys.version_info[:2])),
        "simlib": metadata.version("simlib"),
        "model version": MODEL_VERSION,
        "stored version": STORED_VERSION,
    } | {module.__name__: module.__version__ for module in (numpy, scipy, numba, pyarrow)}
