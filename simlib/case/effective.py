"""What the effective context of a case is made of: of each of its values the entry's and the request's sources, in order."""

from simlib.case.case_file import EffectiveModel
from simlib.case.notation import Names
from simlib.case.rules import FRESH, REQUEST, Context, unpack
from simlib.common.errors import InputError


def effective_context(model: EffectiveModel, names: Names, source: str) -> Context:
    """The context that a case file describes; `source` names the file in error messages.

    Raises:
        InputError: a value's sources do not parse, or are not the entry's and then the request's.
    """

    def split(value: str, place: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return _split(value, place, names, source)

    values = [split(value, f"values.{name}") for name, value in model.values.items()]
    return Context(
        entry=tuple(entry for entry, _ in values),
        request=tuple(request for _, request in values),
        conflict_entry=split(model.conflict.entry, "conflict.entry")[0],
        conflict_request=split(model.conflict.request, "conflict.request")[1],
    )


def _split(value: str, place: str, names: Names, source: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The entry's and the request's sources of one value; the notation is that of a rule, with `entry` for stale."""
    try:
        packed = names.sources(value.replace("entry.", "fresh."), "") if value else []
    except InputError as error:
        raise InputError(f"{source}: effective.{place}: {str(error).replace('fresh.', 'entry.')}") from None
    banks = [unpack(number).bank for number in packed]
    wanted = {"conflict.entry": [FRESH], "conflict.request": [REQUEST]}.get(place, [FRESH, REQUEST])
    if banks != sorted(banks) or not set(banks) <= set(wanted):
        sides = ", then ".join("entry sources" if bank == FRESH else "request sources" for bank in wanted)
        raise InputError(f"{source}: effective.{place}: '{value}' must be {sides}")
    entry, request = (tuple(of.number for of in map(unpack, packed) if of.bank == bank) for bank in (FRESH, REQUEST))
    return entry, request
