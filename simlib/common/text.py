"""Text of strangers made visible: names from cases, workloads and recordings, as people may safely read them.

A name can hold anything: marks that reverse the reading direction, codes that a terminal obeys, line ends, 20,000 characters.
Every error, table, page, figure and diagram passes its text through `visible`.
"""

import codecs
import re

LONGEST = 2_000
"""Characters of one text: a sentence that lists a hundred names has so many."""
LONGEST_WORD = 80
PLAIN = {"−": "-", "–": "-", "…": "...", "×": "x"}
"""What our own typographic signs become on a terminal that cannot show them."""


def visible(text: str, longest: int = LONGEST, word: int = LONGEST_WORD) -> str:
    r"""The text on one line, with every character that is not printed named by its code point, and not too long.

    Args:
        text: any text.
        longest: characters that are shown of the whole.
        word: characters that are shown of what has no blank in it.

    Examples:
        >>> visible("gpt\u202e4\n")
        'gpt[U+202E]4[U+000A]'
        >>> visible("x" * 20_000, word=12)
        'xxxxxxxx…xxxx'
    """
    if len(text) > word:
        text = _shortened(re.sub(rf"\S{{{word + 1},}}", lambda found: _shortened(found[0], word), text), longest)
    return text if text.isprintable() else "".join(sign if sign.isprintable() else code_point(sign) for sign in text)


def counted(number: int, thing: str) -> str:
    """So many things, in the plural unless it is one.

    Examples:
        >>> counted(1, "cell"), counted(1200, "cell")
        ('1 cell', '1,200 cells')
    """
    return f"{number:,} {thing}{'s' * (number != 1)}"


def _shortened(text: str, longest: int) -> str:
    """Its beginning and its end, by which one tells names that begin alike."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end]}…{text[-end:]}"


def code_point(sign: str) -> str:
    """How a sign that is not printed is named."""
    return f"[U+{ord(sign):04X}]"


def _in_plain_signs(error: UnicodeError) -> tuple[str, int]:
    """For an output that cannot show some signs: others in their place."""
    assert isinstance(error, UnicodeEncodeError)
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign) or code_point(sign) for sign in signs), error.end


PLAIN_SIGNS = "simlib.plain_signs"
"""The name of that way, for `errors=` of a stream."""
codecs.register_error(PLAIN_SIGNS, _in_plain_signs)
