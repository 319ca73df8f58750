"""The page about a run, from its digest."""

from __future__ import annotations

from stemline import __version__
from stemline.report import backfill_section, music_charts, section
from stemline.report.comparison import compare_prediction
from stemline.report.digest import RunDigest
from stemline.report.frame import brand, html_page, instant
from stemline.report.markup import Html, clipped, element, without_secrets
from stemline.wording import run_verdict


def render(digest: RunDigest) -> str:
    """Give the HTML page of a digest."""
    body = (
        _headline(digest),
        section.counters(digest),
        section.samples(digest),
        section.states(digest),
        backfill_section.slices(digest.backfill),
        section.throughput(digest),
        compare_prediction(digest),
        element("div", section.spending(digest), *music_charts.music_panels(digest.music), class_="pair"),
        section.reasons(digest),
        section.problems(digest),
        section.mixes(digest),
        _footer(digest),
    )
    title = f"{digest.run.name}, {instant(digest.run.started_at)} · stemline"
    return html_page(title, body)


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
        brand(),
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
