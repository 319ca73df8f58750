"""What was made for jobs that are collected, let go of while no service runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_state import ACCOUNT, OUTCOME, ServiceState, order

from stemline.errors import UsageError
from stemline_local.collected_jobs import jobs_with_outputs, let_go
from stemline_local.jobs.job import JobStatus


def write(folder: Path, name: str) -> Path:
    path = folder / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("sound")
    return path


@pytest.fixture
def state(tmp_path: Path) -> ServiceState:
    return ServiceState(tmp_path)


def test_collected_jobs_expire_and_others_keep_what_was_made(state: ServiceState) -> None:
    collected, kept = state.started().id, state.started().id
    for job_id in (collected, kept):
        state.jobs.complete(job_id, OUTCOME)
    gone, stays = (write(state.folder, f"outputs/{each}/vocals.mp3") for each in (collected, kept))
    state.database.close()

    assert jobs_with_outputs(state.folder) == sorted([collected, kept])
    let_go(state.folder, [collected])

    assert (gone.exists(), stays.exists()) == (False, True)
    assert jobs_with_outputs(state.folder) == [kept]
    state.open()
    assert state.jobs.find(ACCOUNT, collected).status is JobStatus.EXPIRED


def test_uploads_and_sources_go_once_no_job_waits_for_them(state: ServiceState) -> None:
    waiting = state.jobs.accept(order())
    upload, source = (
        write(state.folder, name) for name in ("uploads/a/song.mp3", f"sources/{waiting.id}/in.mp3")
    )
    state.database.close()

    let_go(state.folder, [])
    assert (upload.exists(), source.exists()) == (True, True)

    state.open()
    state.jobs.claim()
    state.jobs.complete(waiting.id, OUTCOME)
    state.database.close()
    let_go(state.folder, [])
    assert (upload.exists(), source.exists()) == (False, False)


def test_a_folder_in_which_a_service_is_at_work_is_left_alone(state: ServiceState) -> None:
    upload = write(state.folder, "uploads/a/song.mp3")

    with pytest.raises(UsageError, match="in use by another service"):
        let_go(state.folder, [])
    assert upload.exists()


def test_a_folder_without_a_service_holds_nothing(tmp_path: Path) -> None:
    assert jobs_with_outputs(tmp_path / "nowhere") == []
