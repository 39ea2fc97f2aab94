"""The page in Chromium: it moves with the trials, comes back with its server, fits narrow screens."""

import re
import time

import pytest

from sparsewire.lab.spec import run_id
from sparsewire.lab.storage.rows import Content, Ending
from sparsewire.lab.storage.spool import hand_in
from sparsewire.lab.store import Store

pytest.importorskip("uvicorn", reason="the dashboard is served by uvicorn")
ROWS = "document.querySelectorAll('#table tbody:nth-of-type(2) tr').length"
LIVE = "document.querySelector('#connection').textContent === 'live'"


def test_rows_bars_and_curves_move_without_a_reload(browser, served, folder, specs, begin):
    _, address = served(folder)
    browser.open(address)
    browser.until(f"{ROWS} === 12")
    browser.until("document.querySelectorAll('#legend li').length === 8")
    browser.value("window.same = true")
    stream = begin(folder, specs[0], 7)
    stream.record("loss", 0.5, 1)
    stream.progress(0.25, "epoch 1")
    stream.close()
    browser.until(f"{ROWS} === 13 && document.querySelector('#table tr.running progress').value === 0.25")
    browser.until("document.querySelector('#legend').innerText.includes('seed 7')")
    stream.record("loss", 0.25, 2)
    stream.progress(0.5, "epoch 2")
    stream.close()
    browser.until("document.querySelector('#table tr.running').innerText.includes('0.2500')")
    with Store.open(folder) as store:
        hand_in(folder, specs[0], 7, Ending("done", None, None, 1.0, {}), Content({"loss": 0.125}, {}, {}), {})
        for file in (folder / "work" / f"{run_id(specs[0])}-7").iterdir():
            file.unlink()
        store.ingest()
        (folder / "work" / f"{run_id(specs[0])}-7").rmdir()
    browser.until(f"{ROWS} === 13 && !document.querySelector('#table tr.running')")
    assert browser.value("window.same")
    assert browser.complaints() == []


def test_the_server_killed_and_back(browser, served, folder):
    process, address = served(folder)
    browser.open(address)
    browser.until(f"{LIVE} && {ROWS} === 12")
    process.kill()
    process.wait()
    browser.until("document.querySelector('#connection').textContent === 'reconnecting'")
    port = re.search(r":(\d+)/", address)[1]
    served(folder, "--port", port)
    browser.until(LIVE, seconds=30)
    browser.until(f"{ROWS} === 12")


def test_filter_sort_group_and_address(browser, served, kept):
    _, address = served(kept)
    browser.open(address)
    browser.until(f"{ROWS} === 12")
    browser.until("document.querySelectorAll('#facets button').length === 5")
    browser.value("[...document.querySelectorAll('#facets button')].find((one) => one.innerText === 'set').click()")
    browser.until(f"{ROWS} === 6 && document.querySelector('#where').value === 'rule=set'")
    browser.value("[...document.querySelectorAll('th button')].find((one) => one.innerText.startsWith('loss')).click()")
    browser.until("document.querySelector('th[aria-sort=descending]')")
    assert browser.value("location.hash") == "#/?where=rule%3Dset&sort=-loss"
    browser.value("group.value = 'strength'; group.dispatchEvent(new Event('change'))")
    browser.until("document.querySelectorAll('#legend li').length === 3")
    browser.until("document.querySelector('#table a')")
    browser.value("document.querySelector('#table a').click()")
    browser.until("document.querySelector('#trial .pairs')")
    browser.value("history.back()")
    browser.until("location.hash.includes('by=strength') && !document.querySelector('#lab').hidden")
    browser.value("where.value = 'nonsense'; where.form.requestSubmit()")
    browser.until("document.querySelector('#trouble').innerText.includes('condition')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_fits_and_follows_the_readers_setting(browser, served, kept, scheme, width):
    _, address = served(kept)
    browser.do("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
    browser.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(address)
    browser.until(f"{ROWS} > 0")
    assert browser.value("document.documentElement.scrollWidth") <= width
    light = browser.value("getComputedStyle(document.body).backgroundColor") == "rgb(252, 251, 248)"
    assert light == (scheme == "light")


def test_a_network_is_drawn(browser, served, kept, specs):
    pytest.importorskip("matplotlib", reason="networks are drawn with matplotlib")
    _, address = served(kept)
    browser.open(f"{address}#/trial/{run_id(specs[0])}/0")
    browser.until("document.querySelector('#trial img')?.naturalWidth > 0", seconds=60)
    assert browser.complaints() == []


def test_nothing_there_yet(browser, served, tmp_path, specs):
    _, address = served(tmp_path / "later")
    browser.open(address)
    browser.until("document.querySelector('#friendly').innerText.includes('Nothing here yet')")
    with Store.open(tmp_path / "later") as store:
        store.enlist(specs)
        hand_in(store.folder, specs[0], 0, Ending("done", None, None, 1.0, {}), Content({"loss": 1.0}, {}, {}), {})
        store.ingest()
    browser.until(f"{ROWS} === 1 && document.querySelector('#friendly').hidden")
    time.sleep(0.1)
    assert browser.complaints() == []


def test_ticks_choose_what_is_drawn_and_the_keyboard_stays_in_its_place(browser, served, kept):
    _, address = served(kept)
    browser.open(address)
    browser.until("document.querySelectorAll('#legend li').length === 8")
    for row in (2, 4):
        browser.value(f"document.querySelectorAll('#table tbody input')[{row}].focus()")
        browser.do("Input.dispatchKeyEvent", type="keyDown", key=" ", text=" ", windowsVirtualKeyCode=32)
        browser.do("Input.dispatchKeyEvent", type="keyUp", key=" ", windowsVirtualKeyCode=32)
        browser.until(f"document.querySelectorAll('#table tbody input')[{row}].checked")
        browser.until(f"document.activeElement === document.querySelectorAll('#table tbody input')[{row}]")
    browser.until("document.querySelectorAll('#legend li').length === 2")
    browser.value("unselect.click()")
    browser.until("document.querySelectorAll('#legend li').length === 8")
    browser.value("document.querySelector('#charts canvas').focus()")
    browser.do("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight", windowsVirtualKeyCode=39)
    browser.until("document.querySelector('#charts [role=status]').innerText.startsWith('step 1')")
    for key, hidden in (("+", "false"), ("-", "false"), ("Escape", "true")):
        browser.do("Input.dispatchKeyEvent", type="keyDown", key=key)
        browser.until(f"whole.hidden === {hidden}")
    assert browser.complaints() == []


def test_numbers_are_shown_with_four_figures_and_charts_of_nearly_equal_ones_end(browser, served, kept):
    _, address = served(kept)
    browser.open(address)
    browser.until("document.querySelectorAll('#table tbody tr').length")  # modules may come later than the page
    shown = browser.value(
        "import('./words.js').then(({ number }) => "
        "[0.0003, 0.0005, -0.00012346, 0.0123456, 0.123456, 12.3456, 12345.6].map((value) => number(value)))"
    )
    assert shown == ["0.0003", "0.0005", "−0.0001235", "0.01235", "0.1235", "12.35", "12346"]
    drawn = browser.value(
        """import('./chart.js').then(({ Chart }) =>
           [[0.8999999999999999, 0.9], [1, 1], [0, 5e-324], [-1e308, 1e308]].map(([low, high]) =>
             [[1, 2], [1, 1.0000000000000002]].map(([from, to]) => {
               const chart = new Chart('x', {}), points = [[from, low], [to, high]];
               document.body.append(chart.element);
               chart.show([{ key: 'x', label: 'x', look: { colour: 1, stroke: 0 }, points }], false, null);
               return chart.width > 0;
             })))"""
    )
    assert drawn == [[True, True]] * 4
    assert browser.complaints() == []


def test_the_next_trial_is_seen_whole_whatever_was_looked_at_closely_before(browser, served, kept, specs):
    last = "performance.getEntriesByType('resource').filter((one) => one.name.includes('api/curves')).at(-1).name"
    _, address = served(kept)
    browser.open(f"{address}#/trial/{run_id(specs[0])}/0")
    browser.until("document.querySelector('#trial canvas')?.clientWidth > 0")
    browser.value("document.querySelector('#trial canvas').scrollIntoView({ block: 'center' })")
    box = browser.value("document.querySelector('#trial canvas').getBoundingClientRect().toJSON()")
    across = [box["x"] + box["width"] * part for part in (0.3, 0.5, 0.6)]
    for kind, x in zip(("mousePressed", "mouseMoved", "mouseReleased"), across, strict=True):
        browser.do("Input.dispatchMouseEvent", type=kind, x=x, y=box["y"] + 60, button="left", buttons=1, clickCount=1)
    browser.until(f"{last}.includes('low=')")
    assert browser.complaints() == []
    browser.value(f"location.hash = '#/trial/{run_id(specs[1])}/0'")
    browser.until(f"{last}.includes('{run_id(specs[1])}')")
    assert "low=" not in browser.value(last)
    assert browser.complaints() == []


def test_between_two_points_there_is_still_a_line(browser, served, kept):
    _, address = served(kept)
    browser.open(address)
    seen = browser.value(
        """import('./chart.js').then(({ Chart }) => {
             const chart = new Chart('x', {}), line = { key: 'x', label: 'x', look: { colour: 1, stroke: 0 } };
             document.body.append(chart.element);
             chart.show([{ ...line, points: [[100, 1], [200, 2]] }], false, [120, 180]);
             const { x0, x1, low, high } = chart.scale;
             chart.point(60);
             return [x0, x1, low < 1, high > 2, chart.tip.hidden];
           })"""
    )
    assert seen == [120, 180, True, True, True]
