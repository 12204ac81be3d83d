"""The list of reports: against hostile records, against what it is made of, and in a real browser."""

import shutil
import subprocess

import pytest

from simlib.report.batch_folder import Point, Record, write_record
from simlib.report.finding import Share
from simlib.report.index import index_page, write_index
from simlib.report.index_pictures import trend_picture

CHROMIUM = shutil.which("chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--virtual-time-budget=10000"]


def record(name, **changes):
    rates = {"old": Share(estimate=0.3, low=0.2, high=0.4), "new": Share(estimate=0.0, low=0.0, high=0.01)}
    fields = {
        "batch": "b", "member": name, "state": "done", "notebook": "n.ipynb", "parameters": {"rate": 0.5}, "seconds": 2.0,
        "date": "2026-01-02T03:04:05+00:00", "digest": "d", "inputs": {"notebook": "1"}, "verdict": "`old` clobbers.",
        "rates": rates,
    }  # fmt: skip
    return Record(**(fields | changes))


def test_texts_of_strangers_are_escaped_wherever_they_stand():
    evil = "</td><script>alert(1)</script>\" onload='x'\u202e"
    rates = {evil: Share(estimate=0.5, low=0.4, high=0.6)}
    row = record(
        evil, batch=evil, notebook=evil, parameters={evil: [evil]}, date=evil, verdict=evil, rates=rates, failed_units=rates
    )
    failed = record("b", state="failed", reason=evil)
    points = [Point(member=evil, date=evil, inputs={evil: evil * n}, rates=rates) for n in (1, 2)]
    page = index_page([row, failed], {evil: points}, {f"{row.stem}.html"})
    assert page.count("<script>") == 1
    assert "<script>alert" not in page
    assert '" onload=' not in page
    assert "\u202e" not in page


def test_units_that_fail_stand_under_the_rates():
    page = index_page([record("a", failed_units={"old": Share(estimate=0.02, low=0.01, high=0.03)})], {}, set())
    assert "<small>old fails 2.00 % (1.00 to 3.00 %)</small>" in page


def test_only_what_is_there_is_linked_and_a_foreign_file_is_no_row(tmp_path):
    write_record(tmp_path, record("there"))
    write_record(tmp_path, record("gone"))
    (tmp_path / "there.html").touch()
    (tmp_path / "copy.json").write_text((tmp_path / "there.json").read_text())
    (tmp_path / "other.json").write_text("[1]")
    said = []
    page = write_index(tmp_path, said.append).read_text()
    assert 'href="there.html"' in page
    assert 'href="gone.html"' not in page
    assert page.count("<tr>") == 3
    assert len(said) == 1
    assert "other.json: expected an object" in said[0]


def test_a_rate_over_time_is_marked_where_the_intervals_part_and_where_the_inputs_changed():
    shares = [Share(estimate=rate, low=rate - 0.02, high=rate + 0.02) for rate in (0.3, 0.31, 0.2)]
    picture = trend_picture(shares, [False, True, False])
    assert picture.count("stroke-dasharray") == 1
    assert [mark.split('"')[0] for mark in picture.split('<circle cx="')[1:]] == ["6.0", "85.0", "164.0"]
    assert picture.count('r="3"') == 1
    assert picture.index('r="3"') > picture.index('cx="164.0"')
    assert trend_picture(shares[:1], [False]) == ""


def test_a_cut_line_of_the_history_costs_that_line_only(tmp_path):
    write_record(tmp_path, record("one"))
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"member": "one", "da')
    write_record(tmp_path, record("one", rates={"old": Share(estimate=0.9, low=0.8, high=0.95)}))
    assert "the same inputs: 30.0 % (20.0 to 40.0 %), then 90.0 %" in write_index(tmp_path).read_text()


PROBE = """
addEventListener('load', () => setTimeout(() => { document.body.dataset.seen = [...document.querySelectorAll('tbody tr')]
  .filter(row => !row.hidden).slice(0, 2).map(row => row.querySelector('a').textContent).join(' ');
  document.body.dataset.count = document.getElementById('count').textContent;
  document.body.dataset.overflow = document.documentElement.scrollWidth - innerWidth; }));"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; .ci/run installs it")
def test_a_browser_filters_and_sorts_a_thousand_rows_as_the_address_says(tmp_path):
    records = [record(f"m{number}", seconds=float(number % 500), parameters={"half": number // 500}) for number in range(1000)]
    page = index_page(records, {}, {f"{one.stem}.html" for one in records})
    (tmp_path / "page.html").write_text(page)
    # Another script is let in to look, beside the one that the page's own policy allows.
    probed = page.replace("script-src ", "script-src 'nonce-probe' ")
    (tmp_path / "probed.html").write_text(probed.replace("</body>", f'<script nonce="probe">{PROBE}</script></body>'))
    address = (tmp_path / "probed.html").as_uri() + "#q=half%3D1&sort=-duration"
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=600,900", "--dump-dom", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    body = done.stdout.split("<body", 1)[1].split(">", 1)[0]
    assert 'data-seen="m999 m998"' in body
    assert 'data-count="500 of 1000"' in body
    assert int(body.split('data-overflow="')[1].split('"')[0]) <= 0
