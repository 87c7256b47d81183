"""Saving rules: checked against the catalogue of actions, then kept as a version."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from activities.registry import ActionParams, RulePlace, with_secrets
from activities.rule_check import check_rule
from models.errors import InvalidRule, Problem
from models.installation import installation
from models.languages import translated
from models.pipeline import Stage
from models.rule import Rule
from models.rule_edit import SAID, Waiting, add_rule, rewrite, said, switch
from models.rule_run import TIMING
from models.templates import TemplateText
from models.timing import AtOnce
from models.user import User


async def save_new_rule(
    session: AsyncSession, stage: Stage, sent: Mapping[str, Any], by: User
) -> Rule:
    """Hang a rule on a stage with all fields given as JSON, or raise `InvalidRule`."""
    text = {name: sent[name] for name in SAID}
    text["params"] = with_secrets(text["action"], text["params"], {})
    text = await _checked(RulePlace(session, stage, position=sent["position"]), text)
    return await add_rule(
        session, stage, text, position=sent["position"], enabled=sent["enabled"], by=by
    )


async def save_rule(
    session: AsyncSession,
    rule: Rule,
    sent: Mapping[str, Any],
    by: User,
    waiting: Waiting = Waiting.KEEP,
) -> None:
    """Change those fields of a locked rule that were sent, as JSON, or raise `InvalidRule`.

    A secret sent as it is shown stays what it is. `waiting` says what becomes of the runs that
    wait where its text changes. Place and switch can be changed also where the text would no
    longer be accepted.
    """
    changes = {name: sent[name] for name in SAID if name in sent}
    if changes:
        position = sent.get("position", rule.position)
        place = RulePlace(session, rule.stage, position=position, rule_id=rule.id)
        before = said(rule)
        text = before | changes
        same = text["action"] == before["action"]
        text["params"] = with_secrets(
            text["action"], text["params"], before["params"] if same else {}
        )
        text = await _checked(place, text)
        await rewrite(session, rule, text, by, waiting)
    rule.position = sent.get("position", rule.position)
    await switch(session, rule, enabled=sent.get("enabled", rule.enabled))


async def _checked(place: RulePlace, text: dict[str, Any]) -> dict[str, Any]:
    if text["stop_on_failure"] and not text["after_previous"]:
        reason = "Only a rule after the previous one can be stopped by its failure."
        raise InvalidRule(Problem("/stop_on_failure", reason))
    unhindered = TIMING.validate_python(text["timing"]) == AtOnce() and text["conditions"] is None
    params = await check_rule(
        place._replace(unhindered=unhindered and not text["once_per_item"]),
        action=text["action"],
        params=text["params"],
        conditions=text["conditions"],
        timing=text["timing"],
    )
    home = await installation(place.session)
    return text | {"params": params.model_dump(mode="json") | _proposed(params, home.locale)}


def _proposed(params: ActionParams, locale: str) -> dict[str, str]:
    """Return the texts that nobody has chosen, in the language of the company."""
    return {
        name: translated(text, locale)
        for name, text in params
        if name not in params.model_fields_set and isinstance(text, TemplateText)
    }
