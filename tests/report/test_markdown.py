"""What a section says is what a reader sees: as Markdown, and as HTML made of it."""

from __future__ import annotations

import base64
import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from trapmid.report import markdown, webpage
from trapmid.report.blocks import Fold, Line, Note, Picture, Pictures, Section, folded, table


def small_png():
    stream = io.BytesIO()
    Image.new("RGB", (2, 1), (10, 200, 30)).save(stream, format="PNG")
    return stream.getvalue()


PNG = {"figures/a b.png": small_png()}


def page(text, pictures=PNG):
    made = webpage.page("title", text, pictures)
    return made[made.index("<main>\n") + 7 : made.index("</main>")]


@pytest.mark.parametrize(
    "text",
    [
        "[81.7]*",
        "plgmi_plus and _this_ or __that__",
        "**bold** | `code` \\ \\* &amp; &",
        "<b>x</b> <details> a < b",
    ],
)
def test_a_text_is_shown_as_it_stands(text):
    """In a paragraph, in every kind of line of a table, and under a picture."""
    kinds = ("", "mean", "reference", "failed")
    parts = [
        markdown.escaped(text),
        markdown.written(table("l", ["head"], [Line([text], kind) for kind in kinds])),
        markdown.written(Pictures([Picture("none.png", text)])),
    ]
    shown = re.sub(r"<(/?(?!details)(?!b>)\w+[^>]*)>", "", page("\n\n".join(parts)))
    assert html.unescape(shown).count(text) == 1 + len(kinds) + 1


def test_a_table_has_its_columns_and_the_marks_of_its_lines():
    lines = [
        Line(("trapmid", "mean of 2", "1.00"), "mean"),
        ("", "0", "0.50"),
        Line(("floor", "–", "7"), "reference"),
        Line(("bad", "x", "8"), "failed"),
    ]
    made = table("lpr", ("Defence", "Notes", "AA-1"), lines)
    assert list(made.frame.columns) == ["Defence", "Notes", "AA-1"]
    assert list(made.frame.index) == ["mean", "", "reference", "failed"]
    assert markdown.written(made).splitlines() == [
        "| Defence | Notes | AA-1 |",
        "| :-- | --- | --: |",
        "| **trapmid** | **mean of 2** | **1.00** |",
        "|  | 0 | 0.50 |",
        "| *floor* | *–* | *7* |",
        "| ***bad*** | ***x*** | ***8*** |",
    ]
    assert '<td style="text-align:right"><strong>1.00</strong></td>' in page(markdown.written(made))


def test_the_last_letter_stands_for_further_columns():
    assert table("llr", list("abcde"), [list("12345")]).columns == "llrrr"


def test_a_picture_is_inside_the_page():
    text = markdown.written(Pictures([Picture("figures/a b.png", "two words")]))
    assert "(figures/a%20b.png)" in text
    (content, alt) = re.findall(
        r'<img src="data:image/webp;base64,([^"]*)" alt="(.*)" />', page(text)
    )[0]
    shown = Image.open(io.BytesIO(base64.b64decode(content)))
    assert alt == "two words" and shown.size == (2, 1) and shown.getpixel((0, 0)) == (10, 200, 30)


def test_a_picture_may_be_told_at_length():
    text = markdown.written(Pictures([Picture("a.png", "a plot", "a plot: A 1, B 2")]))
    assert text == "*a plot*\\\n![a plot: A 1, B 2](a.png)"


def test_the_contents_list_every_section():
    made = webpage.page(
        "title", markdown.document([Section("One & two", ["x"]), Section("B", ["y"])]), {}
    )
    nav = made[made.index("<nav") : made.index("</nav>")]
    assert re.findall(r'<a href="#([^"]*)">(.*)</a>', nav) == [
        ("one--two", "One &amp; two"),
        ("b", "B"),
    ]
    assert all(
        f'id="{address}"' in made for address, _ in re.findall(r'href="#([^"]*)">(.*)<', nav)
    )


def test_pictures_side_by_side_fill_their_rows():
    """A row that is not full leaves its last places empty."""
    shown = [Picture(f"{i}.png", str(i)) for i in range(5)]
    text = markdown.written(Pictures(shown, 2))
    assert [line.count("![") for line in text.splitlines()] == [2, 0, 2, 1]
    assert re.findall(r'alt="(\d)"', page(text)) == list("01234")


def test_only_folds_are_html():
    """What a file has of it is shown as it stands."""
    fold = Fold("a < b", ["inside", "<details>\n<summary><b>no</b></summary>"], opened=True)
    made = page(markdown.written(fold) + "\n\n<script>no()</script>\n\na <i>no</i>")
    assert made.startswith("<details open>\n<summary>a &lt; b</summary>\n<p>inside</p>")
    assert set(re.findall(r"<(\w+)", made)) == {"details", "summary", "p"}
    assert made.count("<details") == made.count("</details>") == 1


def test_a_fold_says_how_many_pictures_it_has():
    shown = [Picture(f"{i}.png", "") for i in range(2)]
    assert folded("Other seeds", shown, 2).title == "Other seeds: 2 pictures"
    assert folded("Other seeds", shown[:1], 2).title == "Other seeds: 1 picture"


def test_a_note_has_its_kind():
    text = markdown.written(Note("caution", "**No.**\n\n- one"))
    assert text == "> [!CAUTION]\n> **No.**\n>\n> - one"
    made = page(text)
    assert made.startswith('<blockquote class="caution" role="alert">\n<p><strong>No.</strong></p>')
    assert "CAUTION" not in made and "<li>one</li>" in made


def test_a_section_is_found_by_its_title():
    text = markdown.document([Section("Time and memory", ["a"]), Section("Data", ["b"])])
    assert text == "## Time and memory\n\na\n\n## Data\n\nb"
    assert markdown.anchor("Time and memory") == "time-and-memory"
    assert '<h2 id="time-and-memory">' in page(text)


def test_a_grid_of_faces_shrinks_and_keeps_every_pixel():
    """Smooth shades with a little noise, upscaled by whole pixels: what a face at 32 pixels is."""
    x, y = np.mgrid[0:64, 0:64]
    shades = np.stack([2 * x, x + y, 120 + 40 * np.sin(y / 9)], axis=-1)
    noisy = (shades + np.random.default_rng(0).normal(0, 4, shades.shape)).clip(0, 255)
    image = Image.fromarray(noisy.astype(np.uint8).repeat(3, axis=0).repeat(3, axis=1))
    stream = io.BytesIO()
    image.save(stream, format="PNG")
    text = markdown.written(Pictures([Picture("grid.png", "shades")]))
    (content,) = re.findall(r"base64,([^\"]*)", page(text, {"grid.png": stream.getvalue()}))
    webp = base64.b64decode(content)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(webp))), np.asarray(image))
    assert len(webp) < 0.9 * len(stream.getvalue()), len(webp) / len(stream.getvalue())
