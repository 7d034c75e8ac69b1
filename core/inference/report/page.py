"""The page of one night: a single file that needs no network and runs no script but its own."""

import base64
import hashlib
from functools import cache
from pathlib import Path

from core.inference.report.contents import Contents
from core.inference.report.evidence import Sentence, paragraphs
from core.inference.report.marks import Figure, Track, clock, hours_of
from core.inference.report.markup import Markup, element, joined
from core.inference.report.palette import css_colours
from core.inference.report.payload import payload
from core.inference.report.svg import LEGEND, legend, plot, scale
from core.inference.report.tables import (
    agreement_table,
    channel_table,
    key_figures,
    provenance_table,
    statistics_table,
)
from core.inference.report.tracks import night_figure
from core.language.describe_night import minutes_text

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("night.js", "timeline.js", "traces.js", "epoch.js", "search.js", "corrections.js", "review.js", "start.js")
"""The page's script, in the order in which its parts are read; they share one scope."""
DISCLAIMER = "Not a medical device. Not for diagnosis: every figure has to be checked by a qualified person."


def page(contents: Contents) -> str:
    """Write the report of a night as one HTML file.

    Parameters
    ----------
    contents
        The night.

    Returns
    -------
    str
        HTML with its style, script and data inside. Its content security policy names the hashes of style and script:
        nothing else runs, and nothing is fetched.
    """
    figure = night_figure(contents)
    told = paragraphs(contents)
    data = payload(contents, figure, [sentence for paragraph in told for sentence in paragraph])
    body = (
        _masthead(contents, figure),
        element(
            "main",
            element("section", _prose(told), _key_figures(contents), class_="summary", aria_label="Summary"),
            _figure(figure),
            Markup(asset("workbench.html")),
            _tables(contents),
        ),
        element("footer", element("p", DISCLAIMER)),
        *(element("script", Markup(text), type="application/octet-stream", id=name) for name, text in data.items()),
    )
    return document(f"{contents.study.study} · sleep report", joined([Markup(part) for part in body]), script())


def document(title: str, body: Markup, code: str) -> str:
    """A whole page: head with style and policy, body, script."""
    style = css_colours() + asset("page.css")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(code)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    head = (
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(style)),
    )
    page = element("html", element("head", *head), element("body", body, element("script", Markup(code))), lang="en")
    return f"<!doctype html>\n{page}\n"


def script() -> str:
    """The script of a night's page."""
    parts = "\n".join(asset(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'


@cache
def asset(name: str) -> str:
    """Text of a file that lies beside this one: style, script, or a piece of the page."""
    return (ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _masthead(contents: Contents, figure: Figure) -> Markup:
    span = minutes_text(figure.duration / 60)
    if figure.start is not None:
        end = clock(figure.duration, figure.start, with_seconds=False)
        span = f"{clock(0, figure.start, with_seconds=False)} to {end}, {span}"
    source = {
        "scoring": "Stages from the human scoring",
        "model": "Stages by the model, not yet checked by a person",
        "none": "Without stages",
    }[contents.night.staging.source]
    return element(
        "header",
        element("p", "Sleep report", element("span", "Not for diagnosis", class_="badge"), class_="kicker"),
        element("h1", contents.study.study),
        element("p", f"{span}. {source}.", class_="when"),
    )


def _prose(told: list[list[Sentence]]) -> Markup:
    """The night in words; each sentence is a link to what it rests on."""
    number = 0
    lines = []
    for paragraph in told:
        links = []
        for sentence in paragraph:
            epoch = int(sentence.moments[0].onset // 30)
            links.append(element("a", sentence.text, href=f"#{epoch}", data_evidence=number, class_="told"))
            links.append(Markup(" "))
            number += 1
        lines.append(element("p", *links))
    return element("div", joined(lines), class_="prose")


def _key_figures(contents: Contents) -> Markup:
    rows = key_figures(contents.summary["statistics"])
    if contents.agreement is not None:
        rows = [*rows, ("Model agreement, κ", f"{contents.agreement.figures.kappa:.2f}")]
    cells = [element("div", element("dt", label), element("dd", value)) for label, value in rows]
    return element("dl", joined(cells), class_="key")


def _figure(figure: Figure) -> Markup:
    tracks = [_track(track, figure) for track in figure.tracks]
    absent = f"Not recorded or not usable: {', '.join(figure.absent)}." if figure.absent else ""
    buttons = [
        element("button", text, type="button", data_zoom=action, aria_label=told)
        for text, action, told in (
            ("−", "out", "Show more time"),
            ("+", "in", "Show less time"),
            ("‹", "back", "Earlier"),
            ("›", "on", "Later"),
            ("Whole night", "all", "Show the whole night"),
        )
    ]
    hint = element("span", "Click for an epoch, drag to zoom.", class_="hint")
    return element(
        "section",
        element("div", element("h2", "The night"), hint, element("div", *buttons, class_="buttons"), class_="bar"),
        element("div", joined(tracks), _axis(figure), _overlay(figure), id="tracks", class_="tracks"),
        element("p", absent, class_="note") if absent else Markup(""),
        id="night",
        aria_label="The night on one time axis",
    )


def _track(track: Track, figure: Figure) -> Markup:
    drawn = Markup(scale(track) + plot(track, figure.duration, f'height="{track.height:g}"'))
    label = f"{track.title}: {track.told}"
    return element(
        "figure",
        element("figcaption", track.title, _legend(track)),
        element("div", drawn, class_="row", role="img", aria_label=label),
        class_="track",
    )


def _legend(track: Track) -> Markup:
    if not track.legend:
        return Markup("")
    width = LEGEND * len(track.legend)
    return Markup(f'<svg class="legends" width="{width:g}" height="10" aria-hidden="true">{legend(track)}</svg>')


_LAST = ' class="last"'
"""Of a label at the end of the axis, which has no room on its right."""


def _axis(figure: Figure) -> Markup:
    """Hours under the tracks; the script draws them anew where the axis zooms."""
    marks = [
        f'<line x1="{100 * s / figure.duration:.3f}%" x2="{100 * s / figure.duration:.3f}%" y1="0" y2="5"/>'
        f'<text x="{100 * s / figure.duration:.3f}%" y="17"{_LAST if s > 0.99 * figure.duration else ""}>{label}</text>'
        for s, label in hours_of(figure.duration, figure.start)
    ]
    return element(
        "div", Markup(f'<svg id="axis" height="22" aria-hidden="true">{"".join(marks)}</svg>'), class_="axis"
    )


def _overlay(figure: Figure) -> Markup:
    box = f'viewBox="0 0 {figure.duration:g} 1" preserveAspectRatio="none"'
    hits = f'<svg id="hits" class="plot" {box} aria-hidden="true"></svg>'
    return element("div", Markup(hits), element("div", id="cursor"), element("div", id="brush"), class_="overlay")


def _tables(contents: Contents) -> Markup:
    parts = [element("section", element("h2", "Statistics"), statistics_table(contents), id="statistics")]
    if contents.agreement is not None:
        title = element("h2", "Agreement with the human scoring")
        parts.append(element("section", title, agreement_table(contents.agreement), id="agreement"))
    parts.append(element("section", element("h2", "Channels"), channel_table(contents), id="channels"))
    repairs = [element("li", repair) for repair in contents.summary["repairs"]]
    notes = element("ul", joined(repairs), class_="note") if repairs else Markup("")
    parts.append(element("section", element("h2", "Provenance"), provenance_table(contents), notes, id="provenance"))
    return joined(parts)
