"""How fast a provider and the network to it proved to be in earlier runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from stemline.budget import Limits
from stemline.ledger import open_ledger
from stemline.plan.capacity import MeasuredPace, read_measured_pace
from stemline.plan.prediction import predict_run
from stemline.plan.preview import preview_run
from stemline.records import CollectedTrack, Job, Phase, StemFile, Submission, Track
from stemline.settings import load_facts

BEGAN = datetime(2026, 3, 31, 12, tzinfo=UTC)
LENGTH = 100.0


def stem(size: int) -> StemFile:
    return StemFile("vocals", "audio/x", "flac", 44_100, 2, 1, LENGTH, size, "ab", -1.0, -18.0, "ok")


class FinishedTracks:
    """A ledger into which tracks are published with the times they took."""

    def __init__(self, ledger, settings, facts):
        self.ledger, self.settings, self.facts = ledger, settings, facts
        recipe = settings.recipe.as_recipe()
        self.run_id = ledger.runs.start(settings.name, facts.kind, recipe, "digest", "key")
        self.tokens: list[str] = []

    def publish(self, jobs: list[tuple[float, float]], collected: list[tuple[float, int]] = ()) -> None:
        """Publish one batch: when each job began and ended, when it was collected and its bytes, in seconds."""
        batch = []
        for index, (begin, end) in enumerate(jobs):
            name = f"t{len(self.tokens)}"
            at, size = collected[index] if collected else (0.0, 0)
            batch.append(name)
            self.tokens.append(name)
            track = Track(name, f"/m/{name}.wav", len(self.tokens), duration_seconds=LENGTH)
            self.ledger.tracks.plan(self.run_id, [track])
            self.ledger.attempts.reserve(self.run_id, track, name, 100, Limits())
            self.ledger.attempts.mark_sending(name)
            self.ledger.attempts.record_submission(name, Submission(f"job-{name}", 100))
            times = [BEGAN + timedelta(seconds=each) for each in (begin, end)]
            job = Job(f"job-{name}", Phase.DONE, created_at=times[0], completed_at=times[1])
            self.ledger.attempts.record_ready(name, job)
            moment = BEGAN + timedelta(seconds=at)
            stored = CollectedTrack(name, (stem(size), stem(size)), 120.0, "Am", None, None, moment)
            self.ledger.attempts.record_collected(stored)
        self.ledger.batches.open(self.run_id, f"batch-{batch[0]}", batch)
        self.ledger.batches.publish(f"batch-{batch[0]}")

    def read(self) -> MeasuredPace:
        return read_measured_pace(self.settings, self.facts, self.ledger)


@pytest.fixture
def finished(catalogue):
    settings = catalogue.settings()
    with open_ledger(settings.ledger_url) as ledger:
        yield FinishedTracks(ledger, settings, catalogue.facts)


def test_an_empty_ledger_measures_nothing(finished):
    assert finished.read() == MeasuredPace()


def test_a_few_tracks_measure_no_speed(finished):
    finished.publish([(0, 60)] * 4)

    assert finished.read().speed is None


def test_speed_is_the_median_and_the_slow_tenth_beyond_the_latency(finished):
    """StemSplit's facts have 10 s of latency: 30 s for 100 s of audio are 0.2."""
    finished.publish([(0, 30)] * 10 + [(0, 110)] * 10 + [(0, 30)])
    usual, slow = finished.read().speed

    assert usual == pytest.approx(0.2)
    assert slow == pytest.approx(1.0)


def test_jobs_that_queue_for_a_few_workers_are_not_slow(finished):
    """Twelve jobs sent at once to three workers of 20 s each wait up to 80 s; the separation itself is 0.2."""
    finished.facts = load_facts("local")
    finished.settings = finished.settings.model_copy(
        update={"provider": finished.settings.provider.model_copy(update={"kind": "local", "workers": 3})}
    )
    finished.run_id = finished.ledger.runs.start(
        finished.settings.name, "local", finished.settings.recipe.as_recipe(), "digest", "key"
    )
    finished.publish([(0, 20 * (1 + index // 3)) for index in range(12)])

    assert finished.read().speed == pytest.approx((0.2, 0.2))


def test_bandwidth_is_what_a_batch_moved_while_it_was_collected(finished):
    """Four at once: the fifth and later ones, 2 x 5,000 bytes each second."""
    collected = [(1000 + max(0, index - 3), 5_000) for index in range(14)]
    finished.publish([(0, 30)] * 14, collected)

    assert finished.read().bytes_per_second == pytest.approx(10_000)


def test_batches_too_small_leave_the_bandwidth_unknown(finished):
    finished.publish([(0, 30)] * 3, [(1, 500), (2, 500), (3, 500)])

    assert finished.read().bytes_per_second is None


def test_another_configurations_bandwidth_is_not_used(finished):
    finished.publish([(0, 30)] * 14, [(1000 + index, 5_000) for index in range(14)])
    finished.settings = finished.settings.model_copy(update={"name": "weekly"})

    assert finished.read().bytes_per_second is None
    assert finished.read().speed is not None


def test_a_plan_takes_what_was_measured_in_place_of_the_facts(catalogue, finished):
    catalogue.row("long", "https://x.example/long.mp3", 1000)
    before = preview_run(catalogue.settings(), catalogue.source, catalogue.facts).forecast
    finished.publish([(0, 20)] * 10)
    after = preview_run(catalogue.settings(), catalogue.source, catalogue.facts).forecast

    assert before.seconds_low == pytest.approx(10 + 0.8 * 1000, rel=0.01)
    assert after.seconds_low == pytest.approx(10 + 0.1 * 1000, rel=0.05)


def test_a_run_predicts_what_the_plan_forecast(catalogue, finished):
    for number in range(40):
        catalogue.row(f"u{number}", f"https://x.example/{number}.mp3", 60.5, priority=number % 3)
    catalogue.tone("local", 6.5)
    settings = catalogue.settings("budget.run=1500")
    plan = preview_run(settings, catalogue.source, catalogue.facts)
    tracks = [Track(f"u{n}", f"https://x.example/{n}.mp3", n, n % 3, 60.5) for n in range(40)]
    finished.ledger.tracks.plan(
        finished.run_id, [*tracks, Track("local", f"{catalogue.folder}/local.wav", 41, duration_seconds=6.5)]
    )
    predicted = predict_run(settings, catalogue.facts, finished.ledger, finished.run_id)

    assert plan.held
    assert predicted.as_tree() == {
        "tracks": plan.new,
        "credits": {"low": plan.workload.credits_low, "high": plan.workload.credits_high},
        "requests": {"low": plan.forecast.requests_low, "high": plan.forecast.requests_high},
        "seconds": {
            "low": round(plan.forecast.seconds_low, 1),
            "high": round(plan.forecast.seconds_high, 1),
        },
        "bottleneck": plan.forecast.bottleneck,
    }


def test_a_prediction_is_about_planned_tracks_alone(finished):
    finished.publish([(0, 20)] * 3)

    assert predict_run(finished.settings, finished.facts, finished.ledger, finished.run_id).tracks == 0
