"""One stay of one item in one stage: wait for each rule's moment, have its action done, end."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from models.agenda import Agenda
    from workflows.agenda import AgendaWorkflow


@workflow.defn
class StageEntryWorkflow(AgendaWorkflow[Agenda]):
    """From entering a stage until nothing is left to do there."""

    @workflow.init
    def __init__(self, agenda: Agenda) -> None:
        super().__init__(agenda)

    @workflow.signal
    def agenda_changed(self, agenda: Agenda) -> None:
        """Take what the database now says: item left, date moved, a person said run or skip."""
        self._adopt(agenda)

    @workflow.run
    async def run(self, agenda: Agenda) -> dict[str, int]:  # noqa: ARG002  # __init__ took it.
        """Do each step when it is due until none is left; return how many runs ended how."""
        return await self._follow()
