"""The sections of a page, each from a digest to markup."""

from __future__ import annotations

from stemline.records import Code, State
from stemline.report.chart import ColumnChart, column_chart
from stemline.report.components import counter, facts, listen, panel, table
from stemline.report.digest import SHOWN_PROBLEMS, STEPS, ProblemRow, RunDigest
from stemline.report.markup import Html, clipped, element, joined, with_code, without_secrets
from stemline.report.player import AudioPlace, preview_note, track_player
from stemline.report.run_account import COLUMNS
from stemline.report.run_figures import RunFigures
from stemline.report.shares import share_table
from stemline.report.track_table import TrackTable, track_table
from stemline.wording import CODES, STATES, counted, length, lengths_sentence, mix_sentence

SHOWN_CODES = 3
_TOLD_OF_NOTHING = {"Charged", "Balance with the provider"}
"""Of what a run spends, what is told even where it is none."""


def counters(digest: RunDigest) -> Html:
    """Give the run's few most telling numbers."""
    figures = digest.figures
    shares, charged = figures.published, figures.credits["charged"] or 0
    minutes = figures.seconds / 60
    pace = f"{shares.by_this_run / minutes:,.1f} tracks a minute" if minutes and shares.by_this_run else ""
    earlier = f", {shares.before:,} before it" if shares.before else ""
    others = f", {shares.by_others:,} by other runs" if shares.by_others else ""
    return element(
        "section",
        counter(
            "Published",
            f"{figures.tracks.get(State.PUBLISHED, 0):,}",
            f"of {counted(figures.total)}{earlier}{others}",
        ),
        counter("Time", length(figures.seconds) if digest.run.finished_at else "running", pace),
        counter("Credits charged", f"{charged:,}", f"{length(charged)} of audio" if charged else ""),
        _requests(figures),
        class_="counters",
    )


def _requests(figures: RunFigures) -> Html:
    """Give how often the provider was asked: for each track, where any was finished; nothing where it was not asked."""
    sent, rejected, per_track = (figures.requests[name] for name in ("sent", "rejected", "per_track"))
    if not sent:
        return Html()
    refused = f"{rejected:,} rejected" if rejected else ""
    if per_track is None:
        return counter("Requests", f"{sent:,}", refused)
    note = ", ".join(each for each in (f"{sent:,} sent", refused) if each)
    return counter("Requests a track", f"{per_track:.2f}", note)


def states(digest: RunDigest) -> Html:
    """Give where the manifest's rows stand, as one bar with its legend."""
    total = sum(digest.tracks.values())
    if not total:
        return Html()
    shown = [(state, digest.tracks[state]) for state in STATES if digest.tracks.get(state)]
    bar = (element("i", class_=f"s-{s}", style=f"flex-grow:{n}", title=f"{s}: {n:,}") for s, n in shown)
    legend = (
        element(
            "li",
            element("i", class_=f"s-{state}"),
            element("strong", f"{count:,}"),
            f" {state} ",
            element("span", STATES[state], class_="note"),
        )
        for state, count in shown
    )
    return panel(
        "Tracks", element("div", *bar, class_="bar-of-states"), element("ul", *legend, class_="legend")
    )


def throughput(digest: RunDigest) -> Html:
    """Give how many tracks were published, and finished by the provider, over time."""
    timeline = digest.timeline
    if not any(timeline.published):
        return Html()
    per = "a second" if timeline.step_seconds == 1 else f"in {length(timeline.step_seconds)}"
    titles = [
        f"{length(index * timeline.step_seconds)}: {counted(count)} published"
        for index, count in enumerate(timeline.published)
    ]
    chart = ColumnChart(
        label=f"Tracks published {per}, over time",
        values=timeline.published,
        titles=titles,
        ticks=_time_ticks(len(timeline.published) * timeline.step_seconds),
        line=timeline.ready,
        is_count=True,
    )
    key = element(
        "p",
        element("span", element("i", class_="swatch bar"), f"published {per}"),
        element("span", element("i", class_="swatch line"), f"finished by the provider {per}"),
        class_="key",
    )
    return panel("Throughput", key, column_chart(chart))


def _time_ticks(seconds: int) -> dict[float, str]:
    """Give up to five labels at round times since the start."""
    days = max(1, seconds // (5 * STEPS[-1]))
    step = next((step for step in STEPS if step * 5 >= seconds), days * STEPS[-1])
    return {at / seconds: length(at) for at in range(0, seconds + 1, step) if at <= 0.94 * seconds}


def spending(digest: RunDigest) -> Html:
    """Give what was spent, what is still reserved, what is left, and the requests it took; nothing where none was."""
    credits_, requests = digest.figures.credits, digest.figures.requests
    balance, per_track = credits_["balance"], requests["per_track"]
    values = {
        "Charged": credits_["charged"],
        "Still reserved": credits_["reserved"],
        "Balance with the provider": balance,
        "Requests sent": requests["sent"],
        "Requests rejected": requests["rejected"],
        "Requests a track": per_track,
    }
    if not any(values.values()):
        return Html()
    told = {
        name: f"{value:,.2f}" if name == "Requests a track" else f"{value:,}"
        for name, value in values.items()
        if value or (value is not None and name in _TOLD_OF_NOTHING)
    }
    return panel("Credits and requests", *_meters(digest.figures), facts(told))


def _meters(figures: RunFigures) -> list[Html]:
    """Give each limit of the budget as a bar, for a run that has one."""
    return [
        element(
            "div",
            element("span", f"budget.{name}"),
            element("span", f"{window.charged + window.reserved:,} of {window.limit:,}", class_="note"),
            element(
                "div",
                element("i", class_="charged", style=f"width:{min(1.0, window.charged / window.limit):.2%}"),
                element(
                    "i", class_="reserved", style=f"width:{min(1.0, window.reserved / window.limit):.2%}"
                ),
                class_="meter",
            ),
            class_="limit",
        )
        for name, window in figures.windows.items()
        if window.limit
    ]


def failure_summary(digest: RunDigest) -> Html:
    """Say what most of the unpublished tracks lack and where the others stand; nothing where none is."""
    found = sorted(_codes(digest), key=lambda item: -item[1])
    lines = [
        element("li", element("strong", f"{count:,}"), " ", CODES[code].sentence)
        for code, count in found[:SHOWN_CODES]
    ]
    if found:
        more = len(found) - SHOWN_CODES
        others = f", and {counted(more, 'more reason')}" if more > 0 else ""
        lines.append(element("li", element("a", f"What to do about it{others}", href="#reasons")))
    return element("ul", *lines, class_="summary") if lines else Html()


def _codes(digest: RunDigest) -> list[tuple[Code, int]]:
    return [(code, count) for code, count in digest.figures.codes.items() if code != Code.OK]


def reasons(digest: RunDigest) -> Html:
    """Give every code with its count, what it means and what to do next."""
    found = sorted(_codes(digest), key=lambda item: -item[1])
    rows = [
        [
            f"{count:,}",
            element("code", code),
            CODES[code].sentence,
            with_code(CODES[code].next_step.format(code=code)),
        ]
        for code, count in found
    ]
    if not rows:
        return Html()
    shown = table(("Tracks", "Code", "Meaning", "Next"), rows, "reasons")
    return element("section", element("h2", "Reasons and next steps"), shown, class_="panel", id="reasons")


def splits(digest: RunDigest) -> Html:
    """Give what the run published by split; nothing where there are none."""
    found = digest.splits
    if found is None:
        return Html()
    everything = (*found.shares, *((found.rest,) if found.rest else ()))
    total = sum(each.seconds for each in everything)
    return panel("Splits of what was published", share_table(found, "Split", "in no split", total))


def all_tracks(digest: RunDigest) -> Html:
    """Give every track the run was about; those that were published before it are only counted."""
    account, before = digest.account, digest.figures.published.before
    listed = TrackTable(COLUMNS, account.rows, account.total)
    notes = []
    if before:
        notes.append(
            f"{counted(before)} published before this run {'is' if before == 1 else 'are'} not listed."
        )
    if account.states[State.PUBLISHED] + before != digest.tracks.get(State.PUBLISHED, 0):
        notes.append("Some have moved on since the run ended: the table shows where they stand now.")
    return track_table(listed, digest.track_file, " ".join(notes))


def samples(digest: RunDigest) -> Html:
    """Give some of the published tracks to listen to."""
    if not digest.heard:
        return Html()
    place = AudioPlace(digest.root_url, digest.link_root)
    total = counted(digest.tracks.get(State.PUBLISHED, 0))
    note = f"{len(digest.heard)} of {total}, spread over the run.{preview_note(digest.heard)}"
    return listen(note, (track_player(track, place) for track in digest.heard))


def problems(digest: RunDigest) -> Html:
    """Give the tracks and rows that are not in the dataset, and where the rest of them are listed."""
    title = "Tracks that are not in the dataset"
    if not digest.problems:
        return panel(title, _rest(digest)) if digest.problem_count else Html()
    rows = [
        [
            joined(element("i", class_=f"s-{problem.state}"), problem.state),
            _called(problem),
            element("code", problem.code),
            joined(
                clipped(without_secrets(problem.sentence), 300),
                " ",
                element("small", clipped(without_secrets(problem.location), 160)),
            ),
        ]
        for problem in digest.problems
    ]
    listed = table(("State", "Track", "Code", "Why"), rows, "troubles")
    scrolled = element("div", listed, class_="scroll", tabindex="0", role="region", aria_label=title)
    return panel(title, scrolled, _rest(digest))


def _called(problem: ProblemRow) -> Html:
    """Give a track's name and artist, and the id that commands take where that is another."""
    title, artist = problem.name.title or problem.track_id, problem.name.artist
    track_id = "" if problem.track_id == title else problem.track_id
    parts = [element("strong", clipped(without_secrets(title), 80))]
    if artist:
        parts += [Html(" "), element("small", clipped(without_secrets(artist), 80))]
    if track_id:
        parts += [Html(" "), element("small", element("code", clipped(without_secrets(track_id), 80)))]
    return joined(*parts)


def mixes(digest: RunDigest) -> Html:
    """Say how many tracks are without the source that should be beside their stems, and why."""
    found = digest.run.totals.get("mix")
    if not found or not found["missing"]:
        return Html()
    return panel("Mixes", element("p", clipped(without_secrets(mix_sentence(found)), 400), class_="note"))


def lengths(digest: RunDigest) -> Html:
    """Say how many tracks are not as long as their manifest says."""
    found = digest.run.totals.get("lengths")
    if not found:
        return Html()
    return panel(
        "Lengths", element("p", clipped(without_secrets(lengths_sentence(found)), 400), class_="note")
    )


def _rest(digest: RunDigest) -> Html:
    """Say how many rows are not shown, and where they are."""
    shown = len(digest.problems)
    more, hidden = digest.problem_count - shown, ""
    if more > 0 and shown < SHOWN_PROBLEMS:
        hidden = f"A later run took up {counted(more)}{' more' if shown else ''}: its page says what came of them. "
    elif more > 0:
        hidden = f"{more:,} more are not shown: this page ends at {SHOWN_PROBLEMS}. `stemline status` lists them all. "
    if digest.rejects_key is None:
        return element("p", with_code(hidden), class_="note") if hidden else Html()
    where: Html | str = f"{digest.root_url}/{digest.rejects_key}"
    if digest.link_root is not None:
        where = element("a", digest.rejects_key, href=digest.link_root + digest.rejects_key)
    return element("p", with_code(hidden), "Rejected rows are also in ", where, ".", class_="note")
