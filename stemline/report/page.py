"""The page about a run, from its digest."""

from __future__ import annotations

from collections.abc import Iterator

from stemline import __version__
from stemline.report import account_section, backfill_section, music_charts, section
from stemline.report.comparison import compare_prediction
from stemline.report.digest import RunDigest
from stemline.report.frame import brand, brand_marks, html_page, instant
from stemline.report.markup import Html, clipped, element, with_code, without_secrets
from stemline.wording import RunVerdict, counted, run_verdict, standing_rejects_sentence

INTERRUPTED = "The run was interrupted. "
"""The verdict says it already."""


def render(digest: RunDigest) -> str:
    """Give the HTML page of a digest: the music first, then the figures, what failed, every track, and details."""
    title = f"{digest.run.name}, {instant(digest.run.started_at)} · stemline"
    if _did_nothing(digest):
        return html_page(title, [_nothing_new(digest)])
    return html_page(title, _body(digest))


def _did_nothing(digest: RunDigest) -> bool:
    run = digest.run
    lacks_mixes = (run.totals.get("mix") or {}).get("missing")
    return (
        run.finished_at is not None and run.exit_code == 0 and digest.figures.is_nothing and not lacks_mixes
    )


def _body(digest: RunDigest) -> Iterator[Html]:
    yield _headline(digest)
    yield section.samples(digest)
    yield section.counters(digest)
    yield section.states(digest)
    yield section.splits(digest)
    yield account_section.breakdowns(digest.account)
    yield section.reasons(digest)
    yield section.problems(digest)
    yield section.mixes(digest)
    yield section.lengths(digest)
    yield section.all_tracks(digest)
    yield account_section.history(digest.history)
    yield backfill_section.slices(digest.backfill)
    yield section.throughput(digest)
    yield compare_prediction(digest)
    details = (section.spending(digest), *music_charts.music_panels(digest.music))
    yield element("div", *details, class_="pair")
    yield _footer(digest)


def _nothing_new(digest: RunDigest) -> Html:
    """Say in one line what a run found that had nothing to do."""
    run, total = digest.run, digest.figures.total
    there = (
        f"all {counted(total)} were in the dataset already"
        if total > 1
        else "its track was in the dataset already"
    )
    found = there if total else "the manifest has no rows that it selects"
    when = f" had nothing to do on {instant(run.started_at)} UTC: {found}."
    sentence = element("span", element("strong", run.name), when)
    return element("p", *brand_marks(), " ", sentence, class_="brand nothing-new")


def _headline(digest: RunDigest) -> Html:
    run = digest.run
    standing = standing_rejects_sentence(digest.tracks, run.totals.get("rejects"))
    found = run_verdict(run.exit_code if run.finished_at else None, dict(digest.tracks), standing)
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
            "div",
            element("strong", found.sentence),
            " ",
            _detail(digest, found),
            class_=f"verdict tone-{found.tone}",
        ),
        section.failure_summary(digest),
        class_="headline",
    )


def _detail(digest: RunDigest, verdict: RunVerdict) -> Html | str:
    """Give what is to be known of a verdict: the reason why the run stopped, where it told one."""
    reason = digest.run.totals.get("reason")
    if not isinstance(reason, str):
        return verdict.detail
    return with_code(clipped(without_secrets(reason.removeprefix(INTERRUPTED)), 400))


def _footer(digest: RunDigest) -> Html:
    return element(
        "footer",
        element("p", "Dataset ", element("code", clipped(without_secrets(digest.root_url), 300))),
        element("p", "Run ", element("code", digest.run.run_id)),
        element("p", f"stemline {__version__}"),
    )
