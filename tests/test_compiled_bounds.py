"""Compiled code reads and writes inside its arrays only: numba checks each index, over what is shipped and what is drawn."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
from dataclasses import replace

from simlib.calibrate.source import calibrate, kind_of
from simlib.case.case import load_case
from simlib.case.discipline import Guard, Pause
from simlib.common.shipped import CASE, DATA, shipped_names
from simlib.estimate.experiment import run
from simlib.model import compiled_model
from simlib.replay.counterfactual import counterfactual
from simlib.replay.recording import find_recording, read_recording, shipped_recordings
from simlib.validate.validate import validate
from simlib.workload.traffic import draw
from simlib.workload.workload import load_workload

case = load_case(CASE)
for name in shipped_recordings():
    assert counterfactual(case, read_recording(find_recording(name), case)).check.exact
    run(calibrate(name, case).workload.model_copy(update={"duration": 20.0}), case, replicates=1, jobs=1)
for name in shipped_names("workloads"):
    workload = load_workload(name)
    workload = workload.model_copy(update={"duration": workload.duration / 4})
    for gateways in {workload.store.gateways, workload.store.gateways + 1}:
        store = workload.store.model_copy(update={"gateways": gateways})
        run(workload.model_copy(update={"store": store}), load_case(workload.case), replicates=2, jobs=1)
guard = Guard("fields", case.fields, attempts=9, pause=Pause(0.01))
usual = case.plain()
for locks in (usual.locks, (), (replace(usual.locks[0], scope="entry", span="flow"),)):
    for snapshots in (usual.snapshots, ("memory",) * len(case.sites), ("lagged",) * len(case.sites)):
        for stores in ("fields", "store"):
            workload = load_workload("multi-process", ["duration=200", "sessions.count=3"])
            guards = (guard,) * len(case.sites)
            discipline = replace(usual, locks=locks, snapshots=snapshots, guards=guards, stores=stores, rules_of=case.baseline)
            assert len(compiled_model.simulate(workload, case, draw(workload, case, 1, 0), discipline))
races = [str(path) for path in sorted((DATA / "recordings").glob("gateway-*.json")) if kind_of(path) == "races"]
validate(["store-2026.4.22-after-19328", "store-2026.4.22-two-processes", *races], case, replicates=2)

from numba import config
assert config.BOUNDSCHECK == 1
print("inside")
"""


@pytest.mark.slow
def test_no_index_of_compiled_code_is_out_of_its_array(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout == "inside\n", ended.stderr
