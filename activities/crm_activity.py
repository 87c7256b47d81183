"""Reminders: given once and at their time, whatever befalls those who give them.

Lock, fence, notification, the agenda as reply, in one transaction. A pause of the automation does
not hold them: they belong to people's own calendar, not to rules.
"""

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.transaction import Pause, in_transaction, no_pause, told_by_kind
from models.agenda import (
    CrmActivityAgenda,
    ReminderFault,
    ReminderStep,
    StopReminders,
)
from models.crm_activity import CrmActivity
from models.database import Database
from models.installation import Installation, installation
from models.outbox import told_by_reply
from models.reminders import (
    Reminder,
    is_to_come,
    lock_reminders,
    put_back,
    remind,
    stop_reminders,
)
from models.settings import Settings

log = structlog.get_logger()

Change = Callable[[AsyncSession, CrmActivity, Reminder], Awaitable[None]]


class ReminderActivities:
    """Everything that `CrmActivityWorkflow` may ask for."""

    def __init__(self, database: Database, settings: Settings, pause: Pause = no_pause) -> None:
        self._database = database
        self._settings = settings
        self._pause = pause

    def all(self) -> list[Callable[..., Awaitable[CrmActivityAgenda]]]:
        """Return the activities to register with a worker."""
        return [self.remind, self.record_reminder_fault, self.stop_reminders]

    @activity.defn(name="remind")
    async def remind(self, step: ReminderStep) -> CrmActivityAgenda:
        """Remind whoever is responsible for a CRM activity, if it is still planned for then."""

        async def give(
            session: AsyncSession, crm_activity: CrmActivity, reminder: Reminder
        ) -> None:
            await remind(session, crm_activity, reminder, url=self._settings.url)

        return await self._told(self._at_its_time(step, give), step.crm_activity_id)

    @activity.defn(name=CrmActivityAgenda.FAULT)
    async def record_reminder_fault(self, fault: ReminderFault) -> CrmActivityAgenda:
        """Try a reminder again later, or leave it after two hours of faults."""

        async def try_later(
            session: AsyncSession, crm_activity: CrmActivity, reminder: Reminder
        ) -> None:
            if not put_back(session, crm_activity, reminder):
                log.error("A reminder is given up", reminder_id=reminder.id, kind=fault.error_type)

        step = fault.step
        return await self._told(self._at_its_time(step, try_later), step.crm_activity_id)

    @activity.defn(name=CrmActivityAgenda.STOP)
    async def stop_reminders(self, stop: StopReminders) -> CrmActivityAgenda:
        """Remind nobody any more: somebody has cancelled the workflow."""

        async def stop_all(
            session: AsyncSession, home: Installation, crm_activity: CrmActivity
        ) -> None:
            if home.database_id == stop.database_id:
                stop_reminders(session, crm_activity)

        return await self._told(self._changed(stop.crm_activity_id, stop_all), stop.crm_activity_id)

    async def _at_its_time(self, step: ReminderStep, change: Change) -> CrmActivityAgenda:
        """Change the reminder if it still stands as the workflow saw it."""

        async def fenced(
            session: AsyncSession, home: Installation, crm_activity: CrmActivity
        ) -> None:
            if home.database_id != step.database_id:
                return
            if not is_to_come(crm_activity):
                stop_reminders(session, crm_activity)
            for reminder in crm_activity.reminders:
                if reminder.id == step.item.reminder_id and reminder.due_at == step.item.due_at:
                    await change(session, crm_activity, reminder)

        agenda = await self._changed(step.crm_activity_id, fenced)
        await self._pause("commit/reply")
        return agenda

    async def _changed(
        self,
        crm_activity_id: int,
        change: Callable[[AsyncSession, Installation, CrmActivity], Awaitable[None]],
    ) -> CrmActivityAgenda:
        """Lock a CRM activity, change it, reply with its agenda: the reply is a tell."""

        async def work(session: AsyncSession) -> CrmActivityAgenda:
            crm_activity = await lock_reminders(session, crm_activity_id)
            home = await installation(session)
            if crm_activity is None:
                return CrmActivityAgenda(
                    database_id=home.database_id, crm_activity_id=crm_activity_id, version=0
                )
            with told_by_reply(session, crm_activity):
                await change(session, home, crm_activity)
            return crm_activity.agenda(home.database_id)

        return await in_transaction(self._database, work)

    async def _told(
        self, work: Awaitable[CrmActivityAgenda], crm_activity_id: int
    ) -> CrmActivityAgenda:
        return await told_by_kind(work, crm_activity_id=crm_activity_id)
