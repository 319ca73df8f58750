"""What must hold of a ledger at any moment when nothing runs, told by the service's own accounts."""

from __future__ import annotations

from support.project import Project


def assert_books_are_right(project: Project, count: int) -> None:
    """Nothing is paid twice or unknown, no track is lost, and what the ledger does not call charged yet is reserved."""
    if not project.ledger.exists():
        assert (project.provider.jobs(), project.provider.charged) == ([], 0)
        return
    rows = dict(project.query("SELECT track_id, state FROM tracks"))
    assert not rows or rows.keys() == {row["track_id"] for row in project.good_rows(count)}
    assert max(project.jobs_by_track().values(), default=0) <= 1, project.jobs_by_track()
    twice = "SELECT token FROM credit_entries WHERE kind = 'charge' GROUP BY token HAVING count(*) > 1"
    assert project.query(twice) == []
    assert 0 <= project.provider.charged - project.charges() <= project.open_reservations()
    totals = project.query(
        "SELECT coalesce(sum(reserved), 0), coalesce(sum(charged), 0) FROM credit_totals WHERE period = 'all'"
    )
    assert totals == [(project.open_reservations(), project.charges())]
