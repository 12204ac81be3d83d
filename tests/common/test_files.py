"""Files that a stranger feeds, against what must come of them; and names that must never be paths."""

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlib.common.files import LARGEST_YAML, Strict, check_output, file_name, load_yaml, replacing, validated


class _Small(Strict):
    k: int


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: " + "[" * 3000, "nested too deeply"),
        ("".join(f"k{n}: 1\n" for n in range(20_000)), "20,000 keys"),
        (
            "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)),
            "keys",
        ),
        ("#" + "x" * LARGEST_YAML, f"allowed: {LARGEST_YAML:,}"),
        ("".join(f"k{n}: 1\n" for n in range(9_000)), "unknown key 'k0' and 8,999 more; did you mean"),
        ("a: !!timestamp x", "tag"),
        ("a: !!binary x", "tag"),
        ("a: " + "9" * 5000, "too long a number"),
        ("", "is empty"),
        ("- a", "found a list"),
        ("a:\n\tb: 1", "indent with blanks, not with a tab"),
        (
            "x: 1\na: {b: stale.b ?? request.b}",
            "line 2: not valid YAML: expected ',' or '}', but got '?' (quote a rule with `??`",
        ),
        ("x: 1\na: {b: stale.b ?? request.b}", "'a: {b: stale.b ?? request.b}'"),
        (
            "x: 1\na: {b: one, two}",
            "line 2: not valid YAML: a key without a value inside {...}; a comma ends a value there, so quote",
        ),
        ("x: 1\na: {b: one, two}", "'a: {b: one, two}'"),
        ("a: {*: request.*}", "quote the key '*'"),
        ("a: !!int many", "tag"),
        ("a: !!python/object:os.system x", "not valid YAML"),
        ("a: 1\nb: 2\na: 3", "line 3: not valid YAML: the key 'a' stands twice"),
    ],
)
def test_yaml_that_would_hang_or_crash_is_refused_in_one_line(text, says, tmp_path, refused):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    message = refused(lambda: validated(_Small, load_yaml(path), str(path)))
    assert str(path) in message
    assert says in message


def test_of_several_errors_the_unknown_key_comes_first_and_the_rest_is_counted(refused):
    class Two(Strict):
        first: int
        second: int
        third: int = 3

    assert refused(validated, Two, {"thrid": 1}, "f.yaml") == (
        "f.yaml: unknown key 'thrid'; did you mean 'third'? allowed: first, second, third"
    )
    assert refused(validated, Two, {}, "f.yaml") == "f.yaml: first: is missing; and 1 more"


@given(st.text(max_size=300))
def test_a_file_name_is_one_component_that_every_file_system_takes(name):
    made = file_name(name)
    assert Path(made).name == made
    assert 0 < len(made) <= 100
    assert made.isascii()
    assert made.isprintable()
    assert made[0] not in ".-"


@given(st.lists(st.text(max_size=20), unique=True, min_size=2, max_size=2))
def test_file_names_of_different_names_differ_even_where_case_does_not_count(names):
    one, other = (file_name(name).lower() for name in names)
    assert one != other


@pytest.mark.parametrize(
    "name", ["CON", "con", "nul.txt", "lpt1", "..", ".", "", "a/b", "/etc/passwd", "a\nb", "x" * 10_000, "\0"]
)
def test_a_name_that_is_no_file_name_somewhere_is_marked_by_its_hash(name):
    assert file_name(name) != name


@pytest.mark.parametrize("name", ["after-19328", "in-mutator", "openclaw-70575", "store-2026.4.22"])
def test_a_plain_name_stays(name):
    assert file_name(name) == name


def test_a_new_file_has_the_umasks_mode_and_a_replaced_one_keeps_its_own(tmp_path):
    before = os.umask(0o027)
    try:
        path = tmp_path / "page.html"
        with replacing(path) as temporary:
            temporary.write_text("one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o600)
        with replacing(path) as temporary:
            temporary.write_text("two")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_text() == "two"
    finally:
        os.umask(before)


def test_a_link_is_written_through(tmp_path):
    real, link = tmp_path / "real" / "page.html", tmp_path / "link.html"
    link.symlink_to(real)
    with replacing(link) as temporary:
        temporary.write_text("through")
    assert link.is_symlink()
    assert real.read_text() == "through"


def test_a_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("page.html", "old")]


def test_an_output_is_checked_before_the_work_and_an_input_is_never_overwritten(tmp_path, refused):
    source, link, hard, folder = (tmp_path / name for name in ("in.csv", "link.csv", "hard.csv", "folder"))
    source.write_text("kept")
    link.symlink_to(source)
    hard.hardlink_to(source)
    folder.mkdir()
    for same in (source, link, hard, folder / ".." / "in.csv"):
        assert "is the input" in refused(check_output, same, source)
    assert "is a folder" in refused(check_output, folder)
    assert "is no folder" in refused(check_output, source / "page.html")
    assert "no name of a file" in refused(check_output, tmp_path / ("x" * 256))
    assert "no name of a file" in refused(check_output, Path("a\0b"))
    check_output(folder / "new" / "page.html", source)
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_made_is_said_once(tmp_path, caplog):
    caplog.set_level("INFO")
    for text in ("one", "two"):
        with replacing(tmp_path / "new" / "of-it" / "page.html") as temporary:
            temporary.write_text(text)
    assert caplog.messages == [f"made the folder {tmp_path}/new/of-it"]


def test_an_error_of_the_system_names_the_file_and_not_the_temporary_one(tmp_path):
    for filename in (None, "temporary"):
        with pytest.raises(OSError, match="No space left on device") as caught, replacing(tmp_path / "page.html") as temporary:
            raise OSError(errno.ENOSPC, "words of a library", filename and str(temporary))
        assert caught.value.filename == str(tmp_path / "page.html")
    with pytest.raises(OSError, match="other") as caught, replacing(tmp_path / "page.html"):
        raise OSError(errno.ENOENT, "no such file", "other")
    assert list(tmp_path.iterdir()) == []
