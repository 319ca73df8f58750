"""A host that is away holds up three tracks, not all of them."""

from __future__ import annotations

import pytest

from stemline.collector.source_hosts import FAILURES, PAUSE_SECONDS, SourceHosts
from stemline.errors import LinkExpired, TransferFailed

HERE = "https://music.example/a.flac"


class Clock:
    """Time that a test sets."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def hosts(clock):
    return SourceHosts(clock)


def ask(hosts, location=HERE, error=None):
    """Ask for a source; tell whether its host was asked."""
    is_asked = False
    try:
        with hosts.asking(location):
            is_asked = True
            if error is not None:
                raise error("no")
    except (LinkExpired, TransferFailed):
        pass
    return is_asked


def test_after_three_failures_in_a_row_a_host_is_left_alone_for_a_while(hosts, clock):
    assert [ask(hosts, error=TransferFailed) for _ in range(FAILURES + 2)] == [True] * FAILURES + [False] * 2
    assert ask(hosts, "https://other.example/a.flac")
    clock.now = PAUSE_SECONDS + 1
    assert [ask(hosts, error=TransferFailed) for _ in range(2)] == [True, False]
    clock.now = 2 * PAUSE_SECONDS + 2
    assert [ask(hosts) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("answer", [None, LinkExpired])
def test_a_host_that_answers_is_there_whatever_it_says(hosts, answer):
    for _ in range(3):
        assert ask(hosts, error=TransferFailed)
        assert ask(hosts, error=TransferFailed)
        assert ask(hosts, error=answer)
