"""The brake: a rule that deletes too much in an hour is held until somebody lets it go on."""

from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models import clock
from models.notification import Notification
from models.rule import Rule, RuleVersion
from models.rule_run import Hold, RuleRun, RunState, hold_run, release_all
from models.user import administrators

HOUR = timedelta(hours=1)


async def held_by_brake(session: AsyncSession, run: RuleRun, most: int) -> bool:
    """Hold a locked run that is about to delete its item, if its rule has deleted too much.

    That is so many items in the last hour, since the rule was let go on last; then all its runs
    are held. Administrators are told, at most once in an hour.
    """
    rule = run.rule
    braked = rule.braked_at is not None and await _is_braked(session, rule)
    if not braked and await _deleted(session, run, most) < most:
        return False
    hold_run(session, run, Hold.BRAKE)
    if await _to_be_told(session, rule):
        session.add_all(
            Notification(
                recipient_id=admin.id,
                text=f"Rule {rule.id} «{run.version.title}» has deleted {most} items in an hour. "
                f"What it has still to do is held until somebody lets it go on: "
                f"POST /v1/rules/{rule.id}/release.",
                item_id=run.item_id,
            )
            for admin in await administrators(session)
        )
    return True


async def release(session: AsyncSession, rule: Rule) -> None:
    """Let a locked rule that the brake holds go on; what it has deleted counts no longer."""
    if rule.braked_at is not None:
        rule.braked_at = None
        rule.released_at = clock.now()
        await release_all(session, Hold.BRAKE, rule.id)


async def _is_braked(session: AsyncSession, rule: Rule) -> bool:
    """Tell whether a rule is held now; nobody releases it until the transaction ends."""
    since = await session.scalar(
        select(Rule.braked_at).where(Rule.id == rule.id).with_for_update(key_share=True)
    )
    return since is not None


async def _deleted(session: AsyncSession, run: RuleRun, most: int) -> int:
    """Count what a rule has deleted lately, up to that number."""
    since = clock.now() - HOUR
    released_at = run.rule.released_at
    done = (
        select(RuleRun.id)
        .join(RuleRun.version)
        .where(
            RuleRun.rule_id == run.rule_id,
            RuleRun.state == RunState.DONE,
            RuleRun.finished_at > (since if released_at is None else max(since, released_at)),
            RuleVersion.action == run.version.action,
        )
        .limit(most)
    )
    return await session.scalar(select(func.count()).select_from(done.subquery())) or 0


async def _to_be_told(session: AsyncSession, rule: Rule) -> bool:
    """Note that a rule is held; False if that was noted within the last hour."""
    now = clock.now()
    noted = await session.scalar(
        update(Rule)
        .where(Rule.id == rule.id, or_(Rule.braked_at.is_(None), Rule.braked_at <= now - HOUR))
        .values(braked_at=now)
        .returning(Rule.id)
        .execution_options(synchronize_session=False)
    )
    return noted is not None
