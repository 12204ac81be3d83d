"""The JSON Schemas of workload and case files, for editors; committed under data/schema and checked for drift."""

import json
from pathlib import Path
from typing import Any

from simlib.case.case_file import CaseModel
from simlib.common.files import replacing
from simlib.common.shipped import DATA
from simlib.workload.workload import Workload

FOLDER = DATA / "schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Name -> schema."""
    return {"workload": Workload.model_json_schema(), "case": CaseModel.model_json_schema()}


def write_schemas(folder: Path = FOLDER) -> list[Path]:
    """Write each schema to `folder`/NAME.schema.json; returns the paths."""
    paths = []
    for name, schema in schemas().items():
        path = folder / f"{name}.schema.json"
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        paths.append(path)
    return paths
