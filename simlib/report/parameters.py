"""The check of a notebook's parameters in the notebook itself, for who runs it by papermill or by hand.

papermill only warns of a parameter that a notebook does not have, and makes a name of it. `notebook.check_parameters` refuses
it before anything runs, but not everybody comes that way.
"""

import inspect
from collections.abc import Callable, Mapping
from itertools import dropwhile, takewhile
from types import ModuleType

from simlib.common.errors import InputError, choose, shown


def check(namespace: Mapping[str, object], study: Callable[..., object]) -> None:
    """Refuse names that were given beside a notebook's parameters.

    What papermill gives stands in the namespace after the notebook's own parameters and before the first import. Names that a
    reader defines further down come later, also when the cell is run again.

    Args:
        namespace: the notebook's `globals()`, in the order in which the names were defined.
        study: the function whose parameters those of the notebook are.

    Raises:
        InputError: names the one that is none of them, its value, and what is allowed.

    Examples:
        >>> def study(seed): ...
        >>> check({"In": [], "seed": 1, "math": inspect, "mine": 2}, study)
        >>> check({"In": [], "seed": 1, "sead": 7, "math": inspect}, study)
        Traceback (most recent call last):
        ...
        simlib.common.errors.InputError: no parameter 'sead' (7); did you mean 'seed'? allowed: seed
    """
    known = inspect.signature(study).parameters
    given = takewhile(
        lambda name: not isinstance(namespace[name], ModuleType), dropwhile(lambda name: name not in known, namespace)
    )
    for name in given:
        if name not in known and not name.startswith("_"):
            raise InputError(f"no parameter {shown(name)} ({shown(namespace[name])}); {choose(name, known)}")
