"""`takehome submit`: what is in the archive, and what a browser without network shows of it."""

import hashlib
import json
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, BrowserContext, Page
from takehome.submission.deck import deck
from takehome.submission.page import notebook_page
from work import Work

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HOSTILE = (
    "<script>document.title = 'owned'</script>",
    "<img src=x onerror=\"document.title = 'owned'\">",
    "<svg onload=\"document.title = 'owned'\"><script>document.title = 'owned'</script></svg>",
    "<a href=\"javascript:document.title = 'owned'\">press</a>",
    '<meta http-equiv="refresh" content="0; url=https://evil.example/">',
    '<img src="https://evil.example/seen.png"><link rel="stylesheet" href="https://evil.example/a.css">',
    '<div style="position: fixed; inset: 0; background: url(https://evil.example/b.png)">over all</div>',
    '<iframe src="https://evil.example/"></iframe><form action="https://evil.example/"><button>go</button></form>',
    "<math><mtext><table><mglyph><style><img src=x onerror=\"document.title = 'owned'\"></style></mglyph></table>",
)


@pytest.fixture(scope="module")
def offline(browser: Browser) -> BrowserContext:
    """Open a browser that has no network."""
    return browser.new_context(offline=True)


def look(offline: BrowserContext, path: Path) -> tuple[Page, list[str]]:
    """Open a file; return the page, and every complaint and every address it asked for but its own."""
    page, complaints = offline.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    own = path.as_uri()
    page.on("request", lambda r: complaints.append(r.url) if not r.url.startswith((own, "data:")) else None)
    page.goto(own)
    return page, complaints


def test_the_archive_holds_all_that_its_manifest_lists(work: Work) -> None:
    with zipfile.ZipFile(work.archive) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert archive.namelist()[0] == "manifest.json"
        assert set(archive.namelist()) == {"manifest.json", *manifest["files"]}
        for name, listed in manifest["files"].items():
            content = archive.read(name)
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (listed["sha256"], listed["bytes"])
            assert (work.archive.with_suffix("") / name).read_bytes() == content
    model = f"models/{manifest['model']}"
    expected = {
        "REVIEW.md", "model-card.md", "notebook.html", "slides.html", "notebooks/submission.ipynb", "data/irises.csv",
        f"{model}/model.json", f"{model}/model.joblib", "environment/constraints.txt",
        "environment/python/environment.yml", "environment/fastapi/environment.yml",
    }  # fmt: skip
    assert expected <= set(manifest["files"])
    assert (manifest["verdict"], manifest["forced"]) == ("reproduced", False)
    assert manifest["data"].keys() == {"irises.csv"}


def test_the_same_work_gives_the_same_bytes_by_the_path_of_the_host_too(work: Work) -> None:
    before = work.archive.read_bytes()
    assert work.run("submit", "somewhere/else/notebooks/submission.ipynb", "--with-data").returncode == 0
    assert work.archive.read_bytes() == before


def test_what_does_not_reproduce_is_refused_unless_forced(work: Work) -> None:
    before, saved = work.archive.read_bytes(), work.notebook.read_bytes()
    notebook = nbformat.read(work.notebook, as_version=4)
    notebook.cells[4].outputs[0].data["text/plain"] = "0.1234"
    try:
        nbformat.write(notebook, work.notebook)
        refused = work.run("submit")
        assert refused.returncode == 1
        assert "submission.ipynb differs, so nothing was written: Cell 4 gives something else." in refused.stderr
        assert "--force" in refused.stderr
        assert work.archive.read_bytes() == before
        assert work.run("submit", "--force").returncode == 0
        with zipfile.ZipFile(work.archive) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert (manifest["verdict"], manifest["forced"]) == ("differs", True)
        assert "data/irises.csv" not in manifest["files"], "the data comes along only when asked for"
    finally:
        work.notebook.write_bytes(saved)
        work.archive.write_bytes(before)


def test_the_card_has_the_figures_and_the_candidates_own_words(work: Work) -> None:
    with zipfile.ZipFile(work.archive) as archive:
        card = archive.read("model-card.md").decode()
        name = next(name for name in archive.namelist() if name.endswith("model.json"))
        metadata = json.loads(archive.read(name))
    assert card.startswith("---\nlibrary_name: ")
    assert "\n## Summary\n" in card
    assert "Two kinds;" in card
    assert f"| roc_auc | {metadata['metrics']['roc_auc']:.4f} |" in card
    assert metadata["sha256"] in card


@pytest.mark.slow
def test_page_and_slides_open_without_a_network(work: Work, offline: BrowserContext) -> None:
    folder = work.archive.with_suffix("")
    page, complaints = look(offline, folder / "notebook.html")
    assert page.title() == "Irises"
    assert page.locator("math").count() == 1
    assert page.locator("img").evaluate_all("all => all.length && all.every(i => i.naturalWidth > 99)")
    slides, more = look(offline, folder / "slides.html")
    slides.wait_for_function("Reveal.isReady()")
    assert slides.evaluate("Reveal.getTotalSlides()") == 3
    slides.keyboard.press("Space")
    assert slides.locator("section.present:not(.stack) img").evaluate("i => i.naturalWidth > 99")
    assert complaints + more == []


@pytest.mark.slow
@pytest.mark.parametrize("html", HOSTILE)
def test_what_a_notebook_shows_can_do_nothing(tmp_path: Path, offline: BrowserContext, html: str) -> None:
    output = new_output("display_data", {"text/html": html, "text/plain": "plain"})
    drawing = new_output("display_data", {"image/svg+xml": f'<svg xmlns="http://www.w3.org/2000/svg">{html}</svg>'})
    cells = [new_markdown_cell(f"# Title\n\n{html}"), new_code_cell("1", outputs=[output, drawing])]
    for name, write in (("page.html", notebook_page), ("deck.html", deck)):
        (tmp_path / name).write_text(write(new_notebook(cells=cells), tmp_path), encoding="utf-8")
        page, complaints = look(offline, tmp_path / name)
        for link in page.get_by_text("press").all():
            link.click(force=True)
        page.wait_for_timeout(50)
        assert page.title() == "Title"
        assert page.url.startswith("file:")
        assert not [complaint for complaint in complaints if complaint.startswith("https://evil")]
        body = page.content().partition("<body>")[2].partition("<script>")[0]
        assert "evil.example" not in body
        assert page.locator("[style*=fixed], iframe, form, meta[http-equiv=refresh], [onerror], [onload]").count() == 0


def test_slide_types_make_the_deck(tmp_path: Path) -> None:
    def cell(kind: str, text: str) -> nbformat.NotebookNode:
        return new_markdown_cell(text, metadata={"slideshow": {"slide_type": kind}})

    cells = [cell("slide", "# One"), cell("subslide", "below"), cell("fragment", "later"), cell("-", "along"),
             cell("skip", "hidden"), cell("notes", "said"), cell("slide", "two")]  # fmt: skip
    html = deck(new_notebook(cells=cells), tmp_path).partition('<div class="slides">')[2].partition("<script>")[0]
    assert html.count("<section>") == 4, "a column with two slides, and one more"
    assert "hidden" not in html
    assert '<div class="fragment"><p>later</p>' in html
    assert '<aside class="notes"><p>said</p>' in html


def test_headings_make_the_deck_where_nothing_is_tagged(tmp_path: Path) -> None:
    picture = new_output("display_data", {"image/png": PIXEL})
    cells = [new_markdown_cell("# Title\n\n## First\n\ntext\n\n```\n# no heading\n```\n\n## Second\n\nmore"),
             new_code_cell("secret = 1", outputs=[picture])]  # fmt: skip
    html = deck(new_notebook(cells=cells), tmp_path).partition('<div class="slides">')[2].partition("<script>")[0]
    assert html.count("<section>") == 4, "Title with First, a column of Second and its picture"
    assert "secret" not in html
    assert PIXEL in html
