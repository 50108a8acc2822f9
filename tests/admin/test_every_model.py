"""Every list and page of the admin site, a new model's among them."""

from unittest import mock
from urllib.parse import quote as percent_encoded

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from authentication.models import Session
from medics.admin.facilities import FacilityAdmin
from medics.models import Facility, HistoryEntry, Referral
from tests.factories import PractitionerFactory
from tests.support.admin_models import MODELS, every_model, make_facility, url_of

CLINICAL_OR_LOGS = {HistoryEntry, Referral, Session}

AUTOCOMPLETE = {
    "app_label": "medics",
    "model_name": "testtype",
    "field_name": "facility",
    "term": "",
}


def count_queries(client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


@every_model
def test_a_list_costs_the_same_for_two_rows_and_twelve(superuser, model):
    make, _ = MODELS[model]
    url = url_of(model, "changelist")
    rows = [make() for _ in range(2)]
    superuser.get(url)  # loads the content types
    few = count_queries(superuser, url)
    rows += [make() for _ in range(10)]

    assert count_queries(superuser, url) == few
    listed = superuser.get(url).context["cl"].result_list
    assert {row.pk for row in rows} <= {row.pk for row in listed}


@every_model
def test_a_row_opens_on_its_page(superuser, model):
    make, _ = MODELS[model]
    row = make()

    response = superuser.get(url_of(model, "change", row.pk))

    assert response.status_code == 200
    assert response.context["original"] == row


@every_model
def test_a_page_that_saves_says_what_it_showed(superuser, model):
    """Without the token of ConflictAdmin it would undo what others changed meanwhile."""
    response = superuser.get(url_of(model, "change", MODELS[model][0]().pk))

    saves = response.context["has_change_permission"]
    assert saves is (model not in CLINICAL_OR_LOGS)
    assert saves is ('name="seen"' in response.content.decode())


@every_model
def test_a_page_costs_the_same_however_many_other_rows_there_are(superuser, model):
    make, _ = MODELS[model]
    url = url_of(model, "change", make().pk)
    superuser.get(url)
    alone = count_queries(superuser, url)
    for _ in range(10):
        make()

    assert count_queries(superuser, url) == alone


@every_model
def test_search_finds_the_row_alone(superuser, model):
    make, text_of = MODELS[model]
    row, other = make(), make()

    found = superuser.get(url_of(model, "changelist"), {"q": text_of(row)}).context["cl"]

    pks = {found.pk for found in found.result_list}
    assert row.pk in pks
    assert other.pk not in pks


@every_model
def test_search_takes_any_text(superuser, model):
    MODELS[model][0]()

    for text in ("%", "'\"\\", "+233 (0)", "-", "0" * 300, "ünï", "a b  c"):
        response = superuser.get(url_of(model, "changelist"), {"q": text})
        assert response.status_code == 200


# A word where none is due, text that PostgreSQL has no place for, an offset and a number that no
# column holds.
BAD = ["abc", "\x00", "2026-01-01 00:00:00-23:59", "9" * 30]


def status_of(send, *args) -> int:
    """With a transaction of its own, which an error of the database would end."""
    with transaction.atomic():
        response = send(*args)
        transaction.set_rollback(True)
    return response.status_code


@every_model
@pytest.mark.parametrize("bad", BAD)
def test_no_address_is_a_failure(superuser, model, bad):
    """The client raises what would be a 500."""
    row = MODELS[model][0]()
    names = [field.attname for field in model._meta.fields]
    names += [field.name for field in model._meta.many_to_many]
    listing, adding = url_of(model, "changelist"), url_of(model, "add")
    times = [name for name in names if name.endswith("_at")]
    lookups = [*names, *(f"{name}__{lookup}" for name in times for lookup in ("gte", "year"))]
    own = [filter_spec.parameter_name for filter_spec in model_filters(model)]

    for name in [*lookups, *own, "q", "p", "o", "all", "_to_field", f"name{bad}"]:
        assert status_of(superuser.get, listing, {name: bad}) in {200, 302, 400}, name
    for name in names:
        assert status_of(superuser.get, adding, {name: bad}) in {200, 400, 403}, name
    for page in ("history", "change", "delete"):
        url = url_of(model, page, quote(str(row.pk))).replace(str(row.pk), percent_encoded(bad))
        assert status_of(superuser.get, url) in {200, 302, 400, 403, 404}, page
        here = url_of(model, page, row.pk)
        assert status_of(superuser.get, here, {"_to_field": bad}) in {200, 302, 400, 403}, page
    for action in ("delete_selected", "end_sessions", bad):
        chosen = {"action": action, "_selected_action": [bad], "index": 0}
        assert status_of(superuser.post, listing, chosen) in {200, 302, 400, 403}, action


def model_filters(model) -> list:
    filters = admin.site._registry[model].list_filter
    return [each for each in filters if hasattr(each, "parameter_name")]


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("/admin/medics/facility/", {"name": "\x00"}),
        ("/admin/medics/facility/a\x00b/history/", {}),
        ("/admin/medics/patient/", {"created_at__gte": "2026-01-01 00:00:00-23:59"}),
        ("/admin/medics/test/add/", {"test_type": "abc"}),
        ("/admin/autocomplete/", {**AUTOCOMPLETE, "term": "\x00"}),
        ("/admin/autocomplete/", {**AUTOCOMPLETE, "app_label": "\x00"}),
        ("/admin/authentication/user/branches/", {"facility": "\x00"}),
    ],
)
def test_what_no_column_can_take_is_a_bad_request(superuser, url, query):
    assert status_of(superuser.get, url, query) == 400


@pytest.mark.parametrize(
    ("url", "query"),
    [
        ("/admin/medics/referral/", {"patient__exact": "Zanetor"}),
        ("/admin/medics/patient/", {"created_at__gte": "Zanetor"}),
        ("/admin/medics/patient/", {"full_name_or_id__regex": "Zanetor("}),
        ("/admin/medics/test/add/", {"test_type": "Zanetor"}),
    ],
)
def test_the_log_does_not_quote_what_no_column_can_take(superuser, caplog, url, query):
    assert status_of(superuser.get, url, query) in {302, 400}

    assert "Zanetor" not in caplog.text


def test_a_fault_of_ours_stays_one(superuser, monkeypatch):
    """It must reach the alert on answers of 500."""
    for error in (ValueError, TypeError, KeyError):
        monkeypatch.setattr(FacilityAdmin, "open_branches", mock.Mock(side_effect=error))
        make_facility()
        with pytest.raises(error):
            superuser.get(url_of(Facility, "changelist"))


@every_model
def test_no_filter_lists_rows(superuser, model):
    """A filter by a relation would list every facility, branch or person."""
    make, _ = MODELS[model]
    for _ in range(12):
        make()

    changelist = superuser.get(url_of(model, "changelist")).context["cl"]

    assert changelist.filter_specs or model is Group
    for spec in changelist.filter_specs:
        assert len(list(spec.choices(changelist))) < 10


@every_model
def test_only_operators_get_in(browser, anyone, ama, kofi, efua, model):
    url = url_of(model, "changelist")
    login = f"{reverse('admin:login')}?next={url}"

    for client in (anyone, browser(ama), browser(kofi), browser(efua)):
        response = client.get(url)
        assert (response.status_code, response.url) == (302, login)


@every_model
def test_an_operator_without_permissions_sees_no_rows(db, browser, model):
    newcomer = PractitionerFactory(is_staff=True)

    assert browser(newcomer).get(url_of(model, "changelist")).status_code == 403
    assert browser(newcomer).get(url_of(model, "change", MODELS[model][0]().pk)).status_code == 403


@pytest.mark.parametrize("model", CLINICAL_OR_LOGS, ids=lambda model: model._meta.model_name)
def test_a_record_cannot_be_added_changed_or_deleted_by_a_superuser(superuser, model):
    row = MODELS[model][0]()
    before = model.objects.values().get(pk=row.pk)
    names = [field.name for field in model._meta.fields]
    posted = dict.fromkeys(names, "Completed") | {"_save": "Save"}

    add = superuser.post(url_of(model, "add"), posted)
    change = superuser.post(url_of(model, "change", row.pk), posted)
    delete = superuser.post(url_of(model, "delete", row.pk), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    superuser.post(url_of(model, "changelist"), chosen)

    assert [add.status_code, change.status_code, delete.status_code] == [403, 403, 403]
    assert model.objects.values().get(pk=row.pk) == before


@pytest.mark.parametrize("model", {*admin.site._registry} - {Group})
def test_no_list_offers_to_delete(superuser, model):
    MODELS[model][0]()

    response = superuser.get(url_of(model, "changelist"))

    form = response.context.get("action_form")
    actions = dict(form.fields["action"].choices) if form else {}
    assert "delete_selected" not in actions
