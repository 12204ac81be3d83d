"""Where the checkout is, and which of its workloads are of its own case."""

from pathlib import Path

from simlib.common.shipped import shipped_names

ROOT = Path(__file__).resolve().parents[2]
OWN_WORKLOADS = [name for name in shipped_names("workloads") if not name.startswith("atlas-")]
"""Those of the atlas are of other programs, and `simlib atlas` runs them."""
