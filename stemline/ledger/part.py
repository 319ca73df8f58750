"""The parts that the ledger has written, and into which of them the rows of a batch have come since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, or_, select

from stemline.ledger.database import Destination, LedgerDatabase
from stemline.ledger.repetition import repeating_verbs
from stemline.ledger.tables import batches, parts
from stemline.ledger.transition import LedgerEvent, write_event
from stemline.records import PartFile

AT_ONCE = 5_000


@repeating_verbs
class Parts:
    """What the ledger knows of the parts in the dataset it writes into."""

    def __init__(self, database: LedgerDatabase) -> None:
        self._database = database

    def written(self) -> dict[str, PartFile]:
        """Give the parts that no snapshot lists yet, by their keys."""
        destination = self._database.destination
        if destination is None:
            return {}
        query = select(parts).where(parts.c.dataset_id == destination.dataset_id)
        with self._database.read() as connection:
            return {
                row.part_key: PartFile(row.part_key, row.size_bytes, row.sha256, row.row_count)
                for row in connection.execute(query)
            }

    def forget(self, keys: Collection[str]) -> None:
        """Leave these parts to the dataset's snapshot, which lists them, or they are gone."""
        destination = self._database.destination
        if destination is None:
            return
        with self._database.write() as connection:
            for some in _slices(sorted(keys)):
                mine = (parts.c.dataset_id == destination.dataset_id, parts.c.part_key.in_(some))
                connection.execute(parts.delete().where(*mine))

    def published(self, batch_ids: Collection[str]) -> set[str]:
        """Give which of these batches are published: nothing is written to their parts any more."""
        known: set[str] = set()
        with self._database.read() as connection:
            for some in _slices(sorted(batch_ids)):
                query = select(batches.c.batch_id).where(
                    batches.c.batch_id.in_(some), batches.c.published_at.is_not(None)
                )
                known |= set(connection.scalars(query))
        return known

    def merge(self, merged: Mapping[str, Collection[str]]) -> None:
        """Note into which part, by the name of its batch, the rows of others have come; said again, it changes nothing.

        The new name becomes a batch of its own, so that the part is known for the ledger's.
        """
        now = self._database.clock()
        with self._database.write() as connection:
            for batch_id, sources in merged.items():
                self._merge(connection, batch_id, sorted(sources))
            counts = Counter(len(sources) for sources in merged.values())
            if counts:
                detail = {"parts": len(merged), "batches": sum(map(len, merged.values()))}
                write_event(connection, now, {}, LedgerEvent("merge_parts", detail=detail))

    def _merge(self, connection: Connection, batch_id: str, sources: Sequence[str]) -> None:
        now, members, run_id = self._database.clock(), 0, None
        for some in _slices(sources):
            theirs = or_(batches.c.batch_id.in_(some), batches.c.merged_into.in_(some))
            for row in connection.execute(select(batches).where(batches.c.batch_id.in_(some))):
                members, run_id = members + row.members, run_id or row.run_id
            connection.execute(batches.update().where(theirs).values(merged_into=batch_id))
        known = connection.execute(select(batches.c.batch_id).where(batches.c.batch_id == batch_id)).first()
        if known is None and run_id is not None:
            whole = {"batch_id": batch_id, "run_id": run_id, "members": members}
            connection.execute(batches.insert(), [{**whole, "opened_at": now, "published_at": now}])


def note_parts(connection: Connection, destination: Destination | None, written: Sequence[PartFile]) -> None:
    """Keep what the parts of a batch are; writing them again gave the same bytes."""
    if destination is None or not written:
        return
    keys = [part.key for part in written]
    mine = (parts.c.dataset_id == destination.dataset_id, parts.c.part_key.in_(keys))
    connection.execute(parts.delete().where(*mine))
    rows = [
        {
            "dataset_id": destination.dataset_id,
            "part_key": part.key,
            "size_bytes": part.size_bytes,
            "sha256": part.sha256,
            "row_count": part.rows,
        }
        for part in written
    ]
    connection.execute(parts.insert(), rows)


def merged_batches(connection: Connection, batch_ids: Collection[str]) -> dict[str, str]:
    """Give the batch into whose part the rows of these (at most 10,000) have come, for those that were merged."""
    query = select(batches.c.batch_id, batches.c.merged_into).where(
        batches.c.batch_id.in_(list(batch_ids)), batches.c.merged_into.is_not(None)
    )
    return {row.batch_id: row.merged_into for row in connection.execute(query)}


def _slices(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)]
