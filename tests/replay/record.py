"""Record the history of every shape anew: `python -m tests.replay.record [shape …]`.

Only when the workflow has changed on purpose. Histories of workflows that wait for years stay as
they are; where a changed workflow cannot replay them it needs `workflow.patched`.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.fixtures.temporal import dev_server
from tests.workflows.shapes import REMINDER_SHAPES, SERVER_SETTINGS, SHAPES, Desk, Stage

HISTORIES = Path(__file__).parent / "histories"
EVERY_SHAPE = SHAPES | REMINDER_SHAPES


async def record(name: str) -> None:
    async with dev_server(*SERVER_SETTINGS.get(name, ())) as temporal:
        place = Desk if name in REMINDER_SHAPES else Stage
        stage = place(temporal, task_queue="recording")
        async with stage.workers():
            handle = await EVERY_SHAPE[name](stage)
            history = await handle.fetch_history()
    events = json.loads(history.to_json(), object_hook=without_stack_traces)
    (HISTORIES / f"{name}.json").write_text(json.dumps(events, indent=1) + "\n")


def without_stack_traces(part: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "stackTrace"}


async def main(names: list[str]) -> None:
    for name in names:
        await record(name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or list(EVERY_SHAPE)))
