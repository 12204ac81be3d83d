"""A sweep on a Dask cluster, against the same sweep on processes of this machine."""

from functools import partial
from pathlib import Path

import pytest
from sweeps import tiny_sweep

from simlib.common.errors import InputError, RunError
from simlib.sweep.folder import Folder
from simlib.sweep.on_dask import check_versions, on_dask, versions
from simlib.sweep.plan import make_plan
from simlib.sweep.sweep import run_sweep


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Dask leaves some of its own sockets to the garbage collector
def test_two_workers_of_a_local_cluster_make_the_same_bytes(tmp_path: Path) -> None:
    plan = make_plan(tiny_sweep(tmp_path))
    run_sweep(plan, Folder(tmp_path / "here"), jobs=2)
    assert run_sweep(plan, Folder(tmp_path / "dask"), engine=partial(on_dask, "local", 2)).failed == 0
    for path in (tmp_path / "here").glob("**/*.parquet"):
        assert path.read_bytes() == (tmp_path / "dask" / path.relative_to(tmp_path / "here")).read_bytes()


def test_a_worker_with_another_version_of_anything_is_refused() -> None:
    ours = versions()
    check_versions("w", ours, ours)
    for name in ours:
        with pytest.raises(RunError, match=f"the Dask worker w has {name} 0, and here it is"):
            check_versions("w", ours | {name: "0"}, ours)


@pytest.mark.slow
def test_an_address_where_no_scheduler_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--dask nonsense://x: no scheduler answers there"):
        run_sweep(make_plan(tiny_sweep(tmp_path)), Folder(tmp_path), engine=partial(on_dask, "nonsense://x", None))
