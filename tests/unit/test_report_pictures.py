"""The report as a reader sees it: headless Chromium draws it on a screen, on a telephone and on paper.

Pictures are kept in `report_pictures/`; `UCLAB_NEW_PICTURES=1` redraws them. They are compared at an
eighth of their size, so that a browser's or font's next version does no harm, but a page in another font, a
lost column or a moved section does.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.unit.report_judgements import REPORT_PLAN, report_judgement
from uclab.report.html import html

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none"]
PICTURES = Path(__file__).with_name("report_pictures")
APART = 0.1
"""Share of the cells with something in them that may differ. Another font changes more than half."""
GREY = 24
"""Cells of 8 by 8 pixels differ by more than this, of 255."""
DESK, TELEPHONE, PAPER = (1280, 900), (400, 800), (794, 1123)
"""Widths and heights in CSS pixels; paper is A4 at 96 dots an inch."""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium (make browser)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    host = {"kernel": "6.1", "cores": 2}
    file.write_text(html(REPORT_PLAN, report_judgement(), host, {"up": 9.5, "scenario": 37.0}))
    return file


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, report: Path) -> Iterator[Page]:
    width, height = getattr(request, "param", DESK)
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(report.as_uri())
    if (width, height) == PAPER:
        page.emulate_media(media="print")
    yield page
    page.close()


def apart(one: bytes, other: Path) -> float:
    """Share (0 to 1) of the cells with something in them that differ."""
    pictures = [Image.open(source).convert("L") for source in (io.BytesIO(one), other)]
    size = tuple(max(sides) // 8 for sides in zip(*(picture.size for picture in pictures), strict=True))
    cells = []
    for picture in pictures:
        page = Image.new("L", (size[0] * 8, size[1] * 8), 255)
        page.paste(picture)
        cells.append(np.asarray(page.resize(size, Image.Resampling.BOX), np.int16))
    inked = np.minimum(*cells) < 235
    return float((abs(cells[0] - cells[1]) > GREY)[inked].mean())


@pytest.mark.parametrize(
    ("page", "name"), [(DESK, "desk"), (TELEPHONE, "telephone"), (PAPER, "paper")], indirect=["page"]
)
def test_the_report_looks_as_it_did(page: Page, name: str, tmp_path: Path) -> None:
    # when the whole report is drawn
    drawn = page.screenshot(full_page=True)
    # then it looks like the picture that was looked at and kept
    kept = PICTURES / f"{name}.png"
    if os.environ.get("UCLAB_NEW_PICTURES"):
        Image.open(io.BytesIO(drawn)).convert("P", palette=Image.Palette.ADAPTIVE).save(kept, optimize=True)
    (tmp_path / f"{name}.png").write_bytes(drawn)
    assert apart(drawn, kept) < APART, f"{tmp_path / kept.name} is not like {kept.name}"


def test_another_font_would_be_detected(page: Page) -> None:
    page.add_style_tag(content="body { font-family: serif !important; font-size: 17px !important }")
    assert apart(page.screenshot(full_page=True), PICTURES / "desk.png") > APART


def test_the_style_sheet_reaches_the_page(page: Page) -> None:
    assert "sans-serif" in page.evaluate("getComputedStyle(document.body).fontFamily")
    assert "monospace" in page.evaluate("getComputedStyle(document.querySelector('code')).fontFamily")


@pytest.mark.parametrize("page", [DESK, TELEPHONE, PAPER], indirect=True)
def test_nothing_is_wider_than_the_page(page: Page) -> None:
    width = page.evaluate("document.documentElement.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("page", [PAPER], indirect=True)
def test_paper_shows_every_table_to_its_last_column(page: Page) -> None:
    wide = (
        "[...document.querySelectorAll('.scroll, .drawing')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    )
    assert page.evaluate(f"{wide}.length") == 0
