"""One planned CRM activity: wait for each reminder's moment, have it given, end."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.agenda import CrmActivityAgenda
    from workflows.agenda import AgendaWorkflow


@workflow.defn
class CrmActivityWorkflow(AgendaWorkflow[CrmActivityAgenda]):
    """From planning it with reminders until nobody is to be reminded any more."""

    @workflow.init
    def __init__(self, agenda: CrmActivityAgenda) -> None:
        super().__init__(agenda)

    @workflow.signal
    def agenda_changed(self, agenda: CrmActivityAgenda) -> None:
        """Take what the database now says: another start, other reminders, completed, deleted."""
        self._adopt(agenda)

    @workflow.run
    async def run(self, agenda: CrmActivityAgenda) -> dict[str, int]:  # noqa: ARG002
        """Give each reminder when it is due; return how many were given, and how many not."""
        return await self._follow()
