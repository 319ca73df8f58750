"""A player for a sample track: its stems, to be heard together or one by one."""

from __future__ import annotations

from urllib.parse import quote

from stemline.ledger import BatchRow
from stemline.records import MIX, StemFile
from stemline.report.markup import Html, clipped, element, joined

_DATASET_ROOT = "../../"
"""From the folder of the page to the dataset's root."""
_QUIETEST_DBFS = -48.0
_STORED = "audio/"


def track_player(row: BatchRow, root_url: str, *, is_local: bool) -> Html:
    """Give a track with its stems: players where the page can reach the audio, its paths where it cannot."""
    order = row.attempt.recipe.stem_names
    heard = [
        stem for stem in row.collected.stems if stem.stem != MIX
    ]  # that is what all of them together are
    stems = sorted(heard, key=lambda s: order.index(s.stem) if s.stem in order else len(order))
    is_playable = is_local and all(stem.path.startswith(_STORED) for stem in stems)
    body = [_stem_player(stem) if is_playable else _path(stem, root_url) for stem in stems]
    controls = _controls(row) if is_playable else Html()
    return element("article", _heading(row), controls, *body, class_="deck")


def _heading(row: BatchRow) -> Html:
    columns, collected = row.attempt.track.columns, row.collected
    track_id = row.attempt.track.track_id
    title = str(columns.get("title") or track_id)
    artist = str(columns.get("artist") or "")
    facts = [
        f"{collected.bpm:.1f} bpm" if collected.bpm is not None else "",
        collected.key or "",
        clock(_seconds(row)),
        f"{row.credits_charged:,} credits",
    ]
    return element(
        "header",
        element("h3", clipped(title, 90)),
        element("p", clipped(artist or track_id, 90), class_="artist"),
        element("p", *(element("span", clipped(fact, 24)) for fact in facts if fact), class_="facts"),
    )


def _controls(row: BatchRow) -> Html:
    """Give the controls that play every stem of a track at once; the script connects them."""
    seconds = _seconds(row)
    seek = element(
        "input", type="range", min=0, max=f"{seconds:.2f}", step="any", value=0, aria_label="Position"
    )
    return element(
        "div",
        element("button", "Play all", type="button", class_="play"),
        seek,
        element("output", f"0:00 / {clock(seconds)}"),
        class_="transport",
    )


def _stem_player(stem: StemFile) -> Html:
    source = _DATASET_ROOT + quote(stem.path, safe="/=")
    buttons = joined(
        element("button", "M", type="button", class_="mute", title=f"Mute {stem.stem}", aria_pressed="false"),
        element("button", "S", type="button", class_="solo", title=f"Solo {stem.stem}", aria_pressed="false"),
    )
    audio = element("audio", src=source, controls="", preload="none", aria_label=stem.stem)
    return element("div", _name(stem), element("span", buttons, class_="switches"), audio, **_row(stem))


def _path(stem: StemFile, root_url: str) -> Html:
    where = f"{root_url}/{stem.path}" if stem.path.startswith(_STORED) else "inside the stems table"
    return element("div", _name(stem), element("code", clipped(where, 400)), **_row(stem))


def _row(stem: StemFile) -> dict[str, str]:
    return {"class_": "stem", "data_stem": stem.stem}


def _name(stem: StemFile) -> Html:
    """Give a stem's name over its level, and the result of its verification where that is not `ok`."""
    level = 0.0 if stem.rms_dbfs is None else max(0.0, 1 - stem.rms_dbfs / _QUIETEST_DBFS)
    rms = "silent" if stem.rms_dbfs is None else f"{stem.rms_dbfs:.1f} dBFS"
    warning = Html() if stem.verification == "ok" else element("em", clipped(stem.verification, 40))
    meter = element("i", element("b", style=f"width:{level:.0%}"), class_="level", title=f"RMS {rms}")
    return element("span", element("strong", clipped(stem.stem, 40)), warning, meter, class_="name")


def clock(seconds: float) -> str:
    """Give a length as on a player, such as 3:07."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _seconds(row: BatchRow) -> float:
    return max((stem.duration_seconds for stem in row.collected.stems), default=0.0)
