"""The page: a digest between its style and its script, with nothing left to fetch but the audio."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from importlib.resources import files
from string import Template

from stemline import __version__
from stemline.report import music_charts, section
from stemline.report.comparison import compare_prediction
from stemline.report.digest import RunDigest
from stemline.report.markup import Html, clipped, element, text, without_secrets
from stemline.wording import run_verdict


def render(digest: RunDigest) -> str:
    """Give the HTML page of a digest."""
    script = _asset("page.js")
    body = (
        _headline(digest),
        section.counters(digest),
        section.states(digest),
        section.throughput(digest),
        compare_prediction(digest),
        element("div", section.spending(digest), *music_charts.music_panels(digest), class_="pair"),
        section.reasons(digest),
        section.problems(digest),
        section.mixes(digest),
        section.samples(digest),
        _footer(digest),
    )
    return Template(_asset("page.html")).substitute(
        title=text(f"{digest.run.name}, {instant(digest.run.started_at)} · stemline"),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_asset("page.css"),
        body="\n".join(part for part in body if part),
        script=script,
    )


def _headline(digest: RunDigest) -> Html:
    run = digest.run
    found = run_verdict(run.exit_code if run.finished_at else None, digest.tracks)
    when = instant(run.started_at)
    if run.finished_at is not None:
        same_day = run.finished_at.date() == run.started_at.date()
        end = f"{run.finished_at:%H:%M}" if same_day else instant(run.finished_at)
        when += "" if when.endswith(end) else f" to {end}"
    facts = (run.provider, run.recipe.name, f"{when} UTC")
    return element(
        "header",
        element("p", *(element("i") for _ in range(4)), element("span", "stemline"), class_="brand"),
        element("h1", run.name),
        element("p", *(element("span", fact) for fact in facts), class_="facts"),
        element(
            "div", element("strong", found.sentence), " ", found.detail, class_=f"verdict tone-{found.tone}"
        ),
        class_="headline",
    )


def _footer(digest: RunDigest) -> Html:
    return element(
        "footer",
        element("p", "Dataset ", element("code", clipped(without_secrets(digest.root_url), 300))),
        element("p", "Run ", element("code", digest.run.run_id)),
        element("p", f"stemline {__version__}"),
    )


def instant(at: datetime) -> str:
    """Give a point in time as people write it, to the minute."""
    return f"{at.day} {at:%b %Y, %H:%M}"


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
