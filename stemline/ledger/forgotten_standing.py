"""What later runs found published and only count: taken out of their counts when it is forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select

from stemline.ledger.lookup import one_of
from stemline.ledger.retention import RowsLeft
from stemline.ledger.tables import run_tracks, runs
from stemline.records import Code, State

_SAME_RUN = run_tracks.c.run_id == runs.c.run_id


def recount_standing(connection: Connection, published: Sequence[RowMapping]) -> None:
    """Have the last run of each catalogue count as forgotten what it found published: it has no rows of these."""
    columns = (
        run_tracks.c.track_id,
        *(runs.c[name] for name in ("name", "provider", "recipe", "run_id")),
    )
    about_it = select(*columns).join_from(runs, run_tracks, _SAME_RUN)
    ids = [row["track_id"] for row in published]
    members = set(map(tuple, connection.execute(about_it.where(one_of(run_tracks.c.track_id, ids)))))
    there = {(row["track_id"], row["provider"], row["recipe"]) for row in published}
    seen = {member[:4] for member in members if (member[0], *member[2:4]) in there}
    last = {kind: _last_run(connection, *kind) for kind in {each[1:] for each in seen}}
    count = Counter(last[each[1:]] for each in seen if (*each, last[each[1:]]) not in members)
    for run_id, tracks_of_it in count.items():
        if run_id is not None:
            _count_as_forgotten(connection, run_id, tracks_of_it)


def _last_run(connection: Connection, name: str, provider: str, recipe: str) -> str | None:
    of_kind = (runs.c.name == name, runs.c.provider == provider, runs.c.recipe == recipe)
    every = select(runs.c.run_id).where(*of_kind, runs.c.backfill.is_(None))
    return connection.scalar(every.order_by(runs.c.started_at.desc()).limit(1))


def _count_as_forgotten(connection: Connection, run_id: str, count: int) -> None:
    one = runs.c.run_id == run_id
    run = connection.execute(select(runs).where(one)).mappings().one()
    fewer, left = min(count, run["standing"]), RowsLeft.of_run(run)
    left.add([(State.REJECTED.value, Code.FORGOTTEN.value, fewer)])
    connection.execute(runs.update().where(one).values(standing=run["standing"] - fewer))
    left.write(connection, run_id)
