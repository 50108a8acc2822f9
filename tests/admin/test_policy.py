"""No page has within it what the content security policy forbids: no browser would run it."""

import pytest
from django.urls import reverse

from tests.support.admin_models import MODELS, every_model, url_of
from tests.support.catalogue_sheets import EXPORT, HEADINGS, IMPORT, UREA, csv_of, upload
from tests.support.content_security import Forbidden, assert_allowed

pytestmark = pytest.mark.django_db


def test_what_is_forbidden_is_found():
    page = '<p style="x"><a onclick="x" href="javascript:x"></a><style></style><script>x</script>'

    assert Forbidden(page).found == ["p style", "a onclick", "a href", "style", "script"]
    assert Forbidden('<script src="/x.js"></script>').found == []


@every_model
def test_a_models_pages(superuser, model):
    row = MODELS[model][0]()

    assert_allowed(superuser.get(url_of(model, "changelist")))
    assert_allowed(superuser.get(url_of(model, "changelist"), {"q": "nothing at all"}))
    assert_allowed(superuser.get(url_of(model, "change", row.pk)))
    assert_allowed(superuser.get(url_of(model, "history", row.pk)))
    for page in (superuser.get(url_of(model, "add")), superuser.post(url_of(model, "add"))):
        if page.status_code != 403:
            assert_allowed(page)
    delete = superuser.get(url_of(model, "delete", row.pk))
    if delete.status_code != 403:
        assert_allowed(delete)


def test_the_pages_of_the_site(client, superuser, kofi):
    assert_allowed(client.get(reverse("admin:login")))
    assert_allowed(client.post(reverse("admin:login"), {"username": "x", "password": "x"}))
    for page in (
        reverse("admin:index"),
        reverse("admin:app_list", args=["medics"]),
        reverse("admin:password_change"),
        reverse("admin:password_change_done"),
        reverse("admin:auth_user_password_change", args=[kofi.pk]),
        IMPORT,
        EXPORT,
    ):
        assert_allowed(superuser.get(page))
    assert_allowed(superuser.get("/admin/nothing/"), 404)
    assert_allowed(superuser.get(reverse("admin:medics_referral_add")), 403)
    assert_allowed(superuser.post(reverse("admin:logout")))


def test_the_previews_of_a_sheet(superuser, blood_count):
    nowhere = ["No laboratory", "CHEMISTRY", "UREA", "12.50", ""]

    changed = ["Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT", "30", "<ins style='x'>"]
    for rows in ([UREA], [changed], [nowhere]):
        assert_allowed(upload(superuser, csv_of(HEADINGS, *rows)))
    assert_allowed(upload(superuser, csv_of(["nonsense"], ["x"])))


def test_a_preview_still_marks_what_changes(superuser, blood_count):
    changed = ["Korle Laboratory", "HAEMATOLOGY", "FULL BLOOD COUNT", "30", "<b>"]

    page = upload(superuser, csv_of(HEADINGS, changed)).content.decode()

    assert "<del>" in page
    assert "<ins>&lt;b&gt;</ins>" in page


def test_the_page_of_the_apis_documentation(client):
    assert_allowed(client.get(reverse("docs")))
