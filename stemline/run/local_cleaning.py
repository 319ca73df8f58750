"""What a local service of the run's own has made, let go of once it is collected."""

from __future__ import annotations

import logging

from stemline.errors import StemlineError
from stemline.ledger import Ledger
from stemline.local import load_local_service
from stemline.plan.capacity import runs_own_service
from stemline.run.access import local_run
from stemline.settings import ProviderFacts, Settings

JOBS_AT_ONCE = 500
logger = logging.getLogger(__name__)


def let_go_of_collected(settings: Settings, facts: ProviderFacts, ledger: Ledger) -> None:
    """Have the service's folder keep the outputs alone that a later run may still collect; its service has ended.

    What cannot be deleted is left to the next run, as what expires is.
    """
    if not runs_own_service(settings, facts):
        return
    service, asked = load_local_service(), local_run(settings)
    found = service.jobs_with_outputs(asked)
    published = [
        job_id
        for start in range(0, len(found), JOBS_AT_ONCE)
        for job_id in ledger.queries.published_jobs(facts.kind, found[start : start + JOBS_AT_ONCE])
    ]
    try:
        service.let_go(asked, published)
    except (StemlineError, OSError) as error:
        logger.info("The local service keeps what it made: %s", error)
