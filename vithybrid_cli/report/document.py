"""The frame of each page: one HTML file that requests nothing, and in which foreign text is never markup.

A content security policy in the page lets nothing be loaded but what its own text holds. It names style and script by
their hashes, so that neither ``style`` attributes nor handlers in the markup have any effect: draw with classes and
with SVG's attributes, and set what a script computes through the properties of ``element.style``.

https://www.w3.org/TR/CSP3/
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TextIO

from vithybrid_cli.output.escape import visible
from vithybrid_cli.report.entries import About, PageKind, Thumbnail

_ICON = (  # a page that names no icon lets the browser ask a server for one
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect width='16' height='16' rx='4' fill='%234458b8'/%3E"
    "%3Cpath d='M4 9.5l3-3 2 2 3-3' fill='none' stroke='white' stroke-width='1.6'/%3E%3C/svg%3E"
)
_IN_THE_PAGE = ("data:",)
_BESIDE_THE_PAGE = ("data:", "'self'", "file:")  # a page that is opened as a file is not 'self' to its neighbours
GENERATOR = '<meta name="generator" content="vithybrid">'  # by which a page of ours is known
_MARKUP = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def document(
    stream: TextIO,
    title: str,
    body: Iterable[str],
    *,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    linked: bool = False,
    kind: PageKind = PageKind.REPORT,
) -> None:
    """Write a page with ``title``, whose ``body`` is markup, piece by piece.

    ``styles`` and ``scripts`` are names of files of this package, used after ``base.css`` and ``base.js``. The scripts
    are joined into one module, which runs when the whole page is there. ``linked``: pictures may lie beside the page.
    ``kind`` is kept in the page, where `kind_mark` finds it.
    """
    style = _joined(("base.css", *styles))
    early = asset("theme.js")
    module = _joined(("base.js", *scripts))
    policy = _policy([style], [early, module], _BESIDE_THE_PAGE if linked else _IN_THE_PAGE)
    stream.write(
        _HEAD.format(
            generator=f"{GENERATOR}\n{kind_mark(kind)}",
            policy=policy,
            title=escaped(title),
            icon=_ICON,
            style=style,
            early=early,
        )
    )
    for piece in body:
        stream.write(piece)
    stream.write(f'<script type="module">{module}</script>\n</body>\n</html>\n')


def kind_mark(kind: PageKind) -> str:
    """The element in the first bytes of a page that says what command made it."""
    return f'<meta name="vithybrid-page" content="{kind}">'


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{generator}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="{icon}">
<style>{style}</style>
<script>{early}</script>
</head>
<body>
"""


def heading(about: About) -> str:
    """The markup of the head of a page: its title, its facts, and the button for light and dark."""
    facts = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>" for name, value in about.facts)
    left_out = f'<p class="left-out">{escaped(about.left_out)}</p>\n' if about.left_out else ""
    return (
        f'<header class="heading">\n<h1>{escaped(about.title)}</h1>\n<dl class="facts">{facts}</dl>\n'
        f"{_THEME}{left_out}</header>\n"
    )


_THEME = """<button type="button" class="button quiet theme" id="theme" aria-pressed="false" title="Dark">
<svg viewBox="0 0 20 20" aria-hidden="true"><path d="M16.5 12A7 7 0 0 1 8 3.5 7 7 0 1 0 16.5 12z"/></svg>
<span class="visually-hidden">Dark</span>
</button>
"""


def data_block(name: str, value: object) -> str:
    """``value`` as JSON in an element with the id ``name``, to be read with ``readData(name)`` of ``base.js``."""
    return f'<script type="application/json" id="{escaped(name)}">{json_text(value)}</script>\n'


def json_text(value: object) -> str:
    """``value`` as JSON that may stand in a ``script`` element: ASCII, without ``<``, ``>`` and ``&``.

    Every other character is an escape that JSON reads back as the same: line separators, and the lone surrogates of
    file names that are no valid text. Raises ValueError for numbers that are not finite.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character, escape in _MARKUP.items():  # outside strings JSON has none of them
        text = text.replace(character, escape)
    return text


def escaped(text: str) -> str:
    """``text`` for the inside of an element or of a quoted attribute; what cannot be seen is shown as its code."""
    return html.escape(visible(text))


def data_url(thumbnail: Thumbnail) -> str:
    """A thumbnail as an address that holds its content."""
    return f"data:{thumbnail.media_type};base64,{base64.b64encode(thumbnail.content).decode('ascii')}"


def asset(name: str) -> str:
    """The text of a file of this package, with ``\\n`` as newlines: what a browser hashes."""
    return (files("vithybrid_cli.report") / name).read_text(encoding="utf-8")


def _joined(names: Sequence[str]) -> str:
    return "\n".join(asset(name) for name in names)


def _policy(styles: Sequence[str], scripts: Sequence[str], pictures: Sequence[str]) -> str:
    """What the page may use: these texts and pictures; no script may make markup of text."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hashes(styles)}",
            f"script-src {_hashes(scripts)}",
            f"img-src {' '.join(pictures)}",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


def _hashes(texts: Sequence[str]) -> str:
    """https://www.w3.org/TR/CSP3/#grammardef-hash-source"""
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
