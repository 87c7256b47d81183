"""What mails, calls, messages and forms have in common."""

from models.incoming import of_form
from tests.fixtures.office import A_FORM, changed


def test_forms_with_what_nobody_can_read_do_not_wait_for_each_other() -> None:
    form = changed(A_FORM, {"phones": ["none of your business"], "emails": ["anna at home"]})

    assert of_form(form, "DE").names == ["inbound form contact:1"]
    assert of_form(A_FORM, "DE").names == [
        "inbound form contact:1",
        "inbound phone +49301234567",
        "inbound email anna@berg.example",
        "inbound from +49301234567",
    ]
