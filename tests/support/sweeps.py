"""A small sweep of four cells that takes a second."""

from pathlib import Path

TEXT = """\
sweep: tiny
workload: quiet
set: {duration: 40}
axes:
  traffic.patch.rate: [0.2, 0.5]
  times.handler.hold.median: [0.02, 0.05]
strategies: [after-19328, all-sites]
precision: {absolute: 0.05, most: 12}
block: 4
"""


def tiny_sweep(folder: Path, *replacements: tuple[str, str]) -> str:
    """The path of the sweep's file, with parts of it replaced."""
    text = TEXT
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)
