"""Locks of folders, against what is promised: one at a time, and no lock outlives its work."""

import pytest

from simlib.common.errors import InputError, RunError
from simlib.common.lock import locked


def test_a_second_one_is_refused_until_the_first_has_ended(tmp_path):
    folder = tmp_path / "new"
    with locked(folder, "batch"), pytest.raises(RunError, match="new: another batch is at work"), locked(folder, "batch"):
        pass
    with locked(folder, "batch"):
        assert folder.is_dir()


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="file: cannot be used as a batch's folder"), locked(tmp_path / "file", "batch"):
        pass
