"""The Markdown of the report as one HTML file that opens offline: pictures and style inside."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from PIL import Image

from trapmid.report.markdown import anchor

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<nav aria-label="Contents">
{contents}</nav>
<main>
{body}</main>
<script>
{script}</script>
</body>
</html>
"""

_STYLE = Path(__file__).with_name("style.css")
_SCRIPT = Path(__file__).with_name("sort.js")

_FOLD = re.compile(r"(<details( open)?>\n<summary>[^<>]*</summary>|</details>)\n?")
"""The only HTML that `markdown` writes; any other comes from a file, and is shown as it stands."""

_HEADING = re.compile(r'<h2 id="([^"]*)">(.*?)</h2>')

_ALERT = re.compile(r"\[!([A-Z]+)\]\n")


def page(title: str, text: str, pictures: Mapping[str, bytes]) -> str:
    """The document as HTML, with a list of its sections that stays in sight.

    Args:
        title: for the window.
        text: Markdown as `markdown` writes it.
        pictures: PNG by the path that the text has for it; another path stays a link. The page
            has them as lossless WebP, a third smaller.
    """
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.core.ruler.before("inline", "alerts", _mark_alerts)
    parser.core.ruler.push("anchors", _name_headings)
    for name, rule in _RULES.items():
        parser.add_render_rule(name, rule)
    body = parser.render(text, {"pictures": pictures})
    style, script = (path.read_text(encoding="utf-8") for path in (_STYLE, _SCRIPT))
    return _PAGE.format(
        title=escape(title), style=style, contents=_contents(body), body=body, script=script
    )


def _contents(body: str) -> str:
    """Links to the sections of the page."""
    links = _HEADING.findall(body)
    return "".join(f'<a href="#{address}">{words}</a>\n' for address, words in links)


def _mark_alerts(state: StateCore) -> None:
    """A quote that begins with `[!WARNING]` has the class `warning` instead."""
    for start, inline in zip(state.tokens, state.tokens[2:], strict=False):
        found = _ALERT.match(inline.content)
        if start.type == "blockquote_open" and found:
            start.attrs |= {"class": found[1].lower(), "role": "alert"}
            inline.content = inline.content[found.end() :]


def _name_headings(state: StateCore) -> None:
    """The headings of sections have the addresses that links in the text use."""
    for start, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if start.type == "heading_open" and start.tag == "h2":
            start.attrSet("id", anchor(inline.content))


def _image(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    path = unquote(str(tokens[index].attrs["src"]))
    if path in env["pictures"]:
        content = base64.b64encode(_smaller(env["pictures"][path])).decode("ascii")
        tokens[index].attrSet("src", f"data:image/webp;base64,{content}")
    return renderer.image(tokens, index, options, env)


def _smaller(png: bytes) -> bytes:
    """The same pixels in fewer bytes."""
    stream = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.save(stream, format="WEBP", lossless=True, method=2)
    return stream.getvalue()


def _html(_: RendererHTML, tokens: Sequence[Token], index: int, *__: Any) -> str:
    content = tokens[index].content
    return content if _FOLD.fullmatch(content) else escape(content, quote=False)


def _table(*_: Any) -> str:
    return '<div class="scroll"><table>\n'


def _table_end(*_: Any) -> str:
    return "</table></div>\n"


_RULES: dict[str, Callable[..., str]] = {
    "image": _image,
    "html_block": _html,
    "html_inline": _html,
    "table_open": _table,
    "table_close": _table_end,
}
