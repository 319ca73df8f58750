"""What a server does by itself about our flow runs: tells of failures and reached budgets, ends those that died.

`python -m flows.automations` makes them on the server that PREFECT_API_URL names; again, it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import AutomationCore

TAG = "stemline"
"""What flow runs of ours are tagged with: by prefect.yaml, and by whoever starts one from a shell."""
NOTIFICATION = "stemline-notifications"
"""A notification block of this name, of any kind, is what the automations tell; without one they only take note."""
SILENCE = timedelta(seconds=540)
"""A flow run says every 180 s that it is alive; after three times in silence it is dead."""
_BODY = "{{ flow_run.name }} ended as {{ flow_run.state.name }}: {{ flow_run.state.message }}"


async def ensure_automations(client: PrefectClient) -> list[str]:
    """Make the automations that are not there, and correct those that are other; give the names of these.

    One that somebody has switched off stays off.
    """
    changed = []
    for wanted in wanted_automations(await _notification_block(client)):
        found = await client.read_automations_by_name(wanted.name)
        for each in found[1:]:
            await client.delete_automation(each.id)
        if not found:
            await client.create_automation(wanted)
        elif _facts(found[0]) != _facts(wanted):
            switched = wanted.model_copy(update={"enabled": found[0].enabled})
            await client.update_automation(found[0].id, switched)
        else:
            continue
        changed.append(wanted.name)
    return changed


def wanted_automations(notification: UUID | None) -> Sequence[AutomationCore]:
    """Give the automations, which tell this notification block where there is one."""
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415 - brings the client
    from prefect.events.actions import ChangeFlowRunState  # noqa: PLC0415

    died = "The process that ran it has not been heard of for 9 minutes. Run it again: it goes on from the ledger."
    return [
        _automation(
            "stemline: a flow run failed",
            "A key, a provider, a configuration or a fault: the state's message says what to do.",
            {"expect": ["prefect.flow-run.Failed", "prefect.flow-run.Crashed"], "posture": "Reactive"},
            [_telling(notification, "stemline: failed")],
        ),
        _automation(
            "stemline: a budget is reached",
            "A limit of the configuration holds tracks back until its window opens again or it is raised.",
            {"expect": ["prefect.flow-run.BudgetReached"], "posture": "Reactive"},
            [_telling(notification, "stemline: budget reached")],
        ),
        _automation(
            "stemline: a worker died",
            "A flow run that no longer says it is alive is marked as Crashed; the ledger knows all it has paid for.",
            {
                "after": ["prefect.flow-run.heartbeat"],
                # Whatever the run does counts: its last states have names of their own, such as Incomplete.
                "expect": ["prefect.flow-run.*"],
                "posture": "Proactive",
                "within": SILENCE,
            },
            [ChangeFlowRunState(name=None, state=StateType.CRASHED, message=died, force=False)],
        ),
    ]


def _automation(
    name: str, description: str, trigger: Mapping[str, object], actions: list[Any]
) -> AutomationCore:
    from prefect.events.schemas.automations import AutomationCore, EventTrigger  # noqa: PLC0415

    ours: dict[str, Any] = {
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.id": f"prefect.tag.{TAG}", "prefect.resource.role": "tag"},
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
    }
    made = EventTrigger.model_validate({**ours, **trigger})
    return AutomationCore(name=name, description=description, trigger=made, actions=actions, tags=[TAG])


def _telling(notification: UUID | None, subject: str) -> Any:  # noqa: ANN401 - one of Prefect's actions
    from prefect.events.actions import DoNothing, SendNotification  # noqa: PLC0415

    if notification is None:
        return DoNothing()
    return SendNotification(block_document_id=notification, subject=subject, body=_BODY)


async def _notification_block(client: PrefectClient) -> UUID | None:
    blocks = await client.read_block_documents(limit=200)
    return next((block.id for block in blocks if block.name == NOTIFICATION), None)


def _facts(automation: AutomationCore) -> dict[str, Any]:
    """Give what two automations are compared by; the server adds ids, and lists come in any order."""
    tree = automation.model_dump(mode="json", include={"description", "trigger", "actions", "tags"})
    tree["trigger"].pop("id", None)
    return _in_order(tree)  # type: ignore[no-any-return]


def _in_order(value: Any) -> Any:  # noqa: ANN401 - a JSON tree
    if isinstance(value, dict):
        return {name: _in_order(item) for name, item in value.items()}
    return sorted((_in_order(item) for item in value), key=repr) if isinstance(value, list) else value


async def _main() -> None:
    from prefect.client.orchestration import get_client  # noqa: PLC0415

    async with get_client() as client:
        changed = await ensure_automations(client)
    print("\n".join(changed) or "Nothing to change.")  # noqa: T201 - what it was called for


if __name__ == "__main__":
    asyncio.run(_main())
