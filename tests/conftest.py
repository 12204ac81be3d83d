"""What all tests share: deterministic hypothesis runs without a clock (this machine may be slow), and small fixtures."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from simlib.common.errors import InputError

settings.register_profile(
    "ours", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ours")


@pytest.fixture
def refused() -> Callable[..., str]:
    """The one line with which a call refuses its input."""

    def call(function: Callable[..., object], *arguments: object) -> str:
        with pytest.raises(InputError) as caught:
            function(*arguments)
        message = str(caught.value)
        assert "\n" not in message
        return message

    return call


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[Path, str, str], Path]:
    """A copy of a text file in which `old` (which must be there) is `new`, once."""

    def edit(source: Path, old: str, new: str) -> Path:
        text = source.read_text(encoding="utf-8")
        assert old in text
        copy = tmp_path / source.name
        copy.write_text(text.replace(old, new, 1), encoding="utf-8")
        return copy

    return edit
