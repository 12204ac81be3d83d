"""`simlib strategies`, `workloads` and `schema`: what is there."""

from pathlib import Path
from typing import Annotated

import typer

from simlib.cli.options import Json, OneCase
from simlib.cli.output import print_json, print_table
from simlib.common.shipped import CASE


def strategies(case: OneCase = CASE, as_json: Json = False) -> None:
    """List a case's strategies and how they get at the store, with their rules under --json."""
    from simlib.case.case import load_case
    from simlib.estimate.discipline_words import discipline_words

    compiled = load_case(case)
    how = {name: discipline_words(compiled, strategy.discipline) for name, strategy in compiled.strategies.items()}
    if as_json:
        print_json(
            {
                "case": compiled.name,
                "baseline": compiled.baseline,
                "strategies": {
                    name: {
                        "title": strategy.title,
                        "source": strategy.source,
                        "about": strategy.about,
                        "in_lock": sorted(strategy.in_lock),
                        "discipline": how[name],
                        "rules": {
                            site: {field: str(rule) for field, rule in rules.items()} for site, rules in strategy.rules.items()
                        },
                    }
                    for name, strategy in compiled.strategies.items()
                },
            }
        )
        return
    print_table(
        [
            {"strategy": s.name, "what": s.title, "source": s.source, "how it gets at the store": how[s.name]}
            for s in compiled.strategies.values()
        ]
    )


def workloads(as_json: Json = False) -> None:
    """List the shipped workloads."""
    from simlib.common.shipped import shipped_names
    from simlib.workload.workload import load_workload

    models = [load_workload(name) for name in shipped_names("workloads")]
    if as_json:
        print_json({"workloads": {model.workload: model.model_dump(mode="json", exclude_defaults=True) for model in models}})
        return
    print_table([{"workload": model.workload, "case": model.case, "what": model.about} for model in models])


def schema(
    out: Annotated[Path | None, typer.Option(help="Folder to write workload.schema.json and case.schema.json to.")] = None,
) -> None:
    """Print the JSON Schema of a workload, or write both schemas for editors."""
    from simlib.common.files import check_output
    from simlib.workload.schema import schemas, write_schemas

    if out:
        check_output(out / "workload.schema.json")
        for path in write_schemas(out):
            print(path)
    else:
        print_json(schemas()["workload"])
