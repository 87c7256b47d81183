"""The catalogue of actions serves a form for each."""

import httpx2

from activities.registry import all_actions


async def test_the_catalogue_lists_every_action_with_its_schema(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/actions")

    actions = {action["code"]: action for action in answer.json()["items"]}
    assert actions.keys() == all_actions().keys()
    task = actions["create_task"]
    assert task["title"] == "Create task"
    assert task["group"] == "Employee monitoring and control"
    assert task["items"] == ["lead", "deal"]
    assert task["params"]["properties"]["title"]["format"] == "template"
    assert "title" in task["params"]["required"]


async def test_an_action_that_deletes_carries_a_warning(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/actions")

    warned = {each["code"] for each in answer.json()["items"] if each["warning"]}
    assert warned == {"add_to_exclusions"}
