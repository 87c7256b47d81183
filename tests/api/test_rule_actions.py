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
    assert task["items"] == ["lead", "deal", "quote", "invoice"]
    assert task["params"]["properties"]["title"]["format"] == "template"
    assert "title" in task["params"]["required"]


async def test_an_action_tells_the_shorter_paths_of_what_it_leaves(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.get("/v1/actions", params={"limit": 200})

    left = {
        action["code"]: {result["name"]: result["short"] for result in action["results"]}
        for action in answer.json()["items"]
    }
    assert left["generate_code"] == {"code": "code"}
    assert left["create_repeat_lead"] == {"id": None, "title": None, "url": None}


async def test_a_description_breaks_lines_only_between_paragraphs(
    api: httpx2.AsyncClient,
) -> None:
    answer = await api.get("/v1/actions", params={"limit": 200})

    told = {each["code"]: each["description"] for each in answer.json()["items"]}
    assert "\n\n" in told["add_to_exclusions"]
    assert [code for code, text in told.items() if "\n" in text.replace("\n\n", "")] == []


async def test_an_action_that_deletes_carries_a_warning(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/actions")

    warned = {each["code"] for each in answer.json()["items"] if each["warning"]}
    assert warned == {"add_to_exclusions", "delete_item"}


async def test_an_action_may_be_looked_for_in_several_groups(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/actions")

    groups = {each["code"]: [each["group"], *each["also_in"]] for each in answer.json()["items"]}
    assert groups["plan_activity"] == ["Recurring sales", "Employee monitoring and control"]
    assert groups["schedule_call"] == ["Employee monitoring and control"]
