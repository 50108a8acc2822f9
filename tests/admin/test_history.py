"""Who changed what, as operators read it."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from medics.admin.history import of_request
from medics.models import Change, HistoryEntry, Referral
from medics.services.history import forgetting
from medics.services.technicians import set_place_of_work
from tests.factories import (
    FacilityFactory,
    PatientFactory,
    PractitionerFactory,
    TechnicianFactory,
    UserFactory,
)
from tests.support.admin_pages import filled_in
from tests.support.audit_context import changes_by
from tests.support.query_plans import nodes_run

LIST = "/admin/medics/historyentry/"


def history_page(client, row, **query) -> str:
    label = f"{row._meta.app_label}_{row._meta.model_name}"
    response = client.get(reverse(f"admin:{label}_history", args=[row.pk]), query)
    assert response.status_code == 200
    return response.content.decode()


def lines_of(page: str) -> list[list[str]]:
    """The cells of the page's rows, without their time."""
    table = page.partition('id="change-history"')[2]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
    return [
        [" ".join(cell.split()) for cell in re.findall(r"<td>(.*?)</td>", row, re.DOTALL)]
        for row in rows
    ]


def found(client, **query) -> list:
    return list(client.get(LIST, query).context["cl"].result_list)


# On the page of what was changed


def test_a_price_says_who_changed_it_in_which_request(superuser, root, blood_count):
    url = reverse("admin:medics_test_change", args=[blood_count.pk])
    data = filled_in(superuser, url, price="27.50")
    superuser.post(url, data, headers={"X-Request-ID": "of-the-price"})

    *line, request_id = lines_of(history_page(superuser, blood_count))[0]
    assert line == [str(root), f"test {blood_count.pk} changed", "price: 25.0 → 27.5"]
    assert re.fullmatch("of-the-price/[0-9a-f]{32}", request_id)


def test_a_user_s_page_tells_rights_branches_and_the_facility_administered(
    superuser, kofi, branch, laboratory
):
    kofi.is_staff = True
    kofi.save()
    kofi.groups.add(Group.objects.create(name="Operators"))
    set_place_of_work(user=kofi, facility=FacilityFactory(), branches=[], administers=True)

    told = [(what, values) for _, what, values, _ in lines_of(history_page(superuser, kofi))]

    assert f"user {kofi.pk} changed" in [what for what, _ in told]
    assert any(values == "is_staff: False → True" for _, values in told)
    assert any(what.startswith("user-group") and what.endswith("created") for what, _ in told)
    assert any(what.startswith("branch technician") and "deleted" in what for what, _ in told)
    assert any(values == f"admin_id: - → {kofi.pk}" for _, values in told)


def test_a_user_s_page_tells_of_nobody_else(superuser, kofi, ama):
    ama.is_staff = True
    ama.save()
    FacilityFactory(admin=TechnicianFactory())
    assert len(lines_of(history_page(superuser, kofi))) == 2


def test_a_facility_s_page_tells_of_its_branches(superuser, laboratory, branch):
    branch.is_active = False
    branch.save()
    assert lines_of(history_page(superuser, laboratory))[0] == [
        "-",
        f"branch {branch.pk} changed",
        "is_active: True → False",
        "-",
    ]


def test_a_group_s_page_tells_what_it_may_do(superuser, db):
    group = Group.objects.create(name="Operators")
    permission = Permission.objects.get(codename="view_patient")
    group.permissions.add(permission)
    assert f"permission_id: {permission.pk}" in history_page(superuser, group)


def test_a_referral_s_page_tells_statuses_and_all_else(superuser, referral, kofi):
    test = referral.tests.first()
    with changes_by(kofi):
        test.status = "Received"
        test.save()
    Referral.objects.update(clinical_notes="<b>Fever</b>")

    noted, moved, *_ = lines_of(history_page(superuser, referral))

    assert noted[2] == "clinical_notes: - → &lt;b&gt;Fever&lt;/b&gt;"
    assert moved == [
        str(kofi),
        f"referral test {test.pk} changed",
        "status: Pending → Received",
        f"by-{kofi.pk}",
    ]


def test_a_patient_s_page_tells_who_named_the_patient(superuser, referral):
    patient = referral.patient
    assert "full_name_or_id: Akosua Mensah" in history_page(superuser, patient)


def test_a_row_without_a_history_says_so(superuser, laboratory):
    with forgetting():
        Change.objects.all().delete()
    assert "Nothing has been changed" in history_page(superuser, laboratory)


def test_a_long_history_has_pages(superuser, laboratory):
    for number in range(101):
        laboratory.contact_number = str(number)
        laboratory.save()
    first = history_page(superuser, laboratory)
    assert len(lines_of(first)) == 100
    assert '<a href="?p=2">2</a>' in first
    assert len(lines_of(history_page(superuser, laboratory, p=2))) == 2


def test_whoever_may_not_see_a_row_may_not_see_its_history(browser, laboratory):
    newcomer = PractitionerFactory(is_staff=True)
    url = reverse("admin:medics_facility_history", args=[laboratory.pk])
    assert browser(newcomer).get(url).status_code == 403


# The list


def test_the_newest_change_stands_first(superuser, referral, blood_count, kofi):
    with changes_by(kofi):
        blood_count.price = 1
        blood_count.save()
        referral.status = "Received"
        referral.save()

    moved, priced, *_ = found(superuser)

    assert (moved.row_id, moved.new) == (referral.pk, {"status": "Received"})
    assert (priced.row_id, priced.new) == (str(blood_count.pk), {"price": 1.0})
    page = superuser.get(LIST).content.decode()
    assert f'href="/admin/medics/referral/{referral.pk}/history/"' in page
    assert "price: 25.0 → 1.0" in page


def test_it_is_searched_by_request_row_and_person(superuser, ama, referral, blood_count):
    with changes_by(ama):
        blood_count.price = 1
        blood_count.save()
        referral.status = "Received"
        referral.save()
    [priced] = HistoryEntry.objects.filter(new={"price": 1.0})
    [moved] = HistoryEntry.objects.filter(new={"status": "Received"})

    assert found(superuser, q=f" by-{ama.pk} ") == [moved, priced]
    assert found(superuser, q=referral.pk)[0] == moved
    assert priced not in found(superuser, q=referral.pk)
    assert {moved, priced} <= set(found(superuser, q=str(ama.pk)))
    assert found(superuser, q=ama.phone_number) == [moved, priced]
    assert found(superuser, q="by-nobody") == []


def test_it_is_searched_by_the_id_that_a_client_sent(superuser, anyone):
    for number, sent in enumerate(["r-1", "r-10", "r_1", "r" * 128]):
        anyone.post(
            reverse("auth:user-register"),
            {"full_name": "Abena", "phone_number": f"024412345{number}", "password": "Str0ng-pass"},
            headers={"X-Request-ID": sent},
        )

    [entry] = found(superuser, q="r-1")
    assert entry.request_id.startswith("r-1/")
    assert found(superuser, q=entry.request_id) == [entry]
    assert len(found(superuser, q="r" * 128)) == 1


def test_it_is_filtered_by_what_it_is_about_and_what_happened(superuser, referral, blood_count):
    blood_count.price = 1
    blood_count.save()

    about_tests = found(superuser, about="medics_test")
    assert {entry.row_table for entry in about_tests} == {"medics_test"}
    assert [entry.new for entry in found(superuser, about="medics_test", action="changed")] == [
        {"price": 1.0}
    ]


def test_who_is_gone_is_nobody(superuser):
    inspector = UserFactory()
    with changes_by(inspector):
        FacilityFactory(name="Ridge")
    inspector.delete()

    assert superuser.get(LIST).status_code == 200
    assert [entry.new["name"] for entry in found(superuser, about="medics_facility")] == ["Ridge"]


def test_what_was_removed_and_exported_is_shown(superuser, referral):
    patient = PatientFactory(created_at=timezone.now() - timedelta(days=2))
    call_command("apply_retention", days=1, delete=True, stdout=StringIO())
    call_command("export_patient", id=referral.patient_id, stdout=StringIO())

    [removed] = found(superuser, action="removed")
    [exported] = found(superuser, action="exported")
    assert removed.new["patients"] == 1
    assert exported.subject_id == str(referral.patient_id)
    assert "patients: 1" in superuser.get(LIST, {"action": "removed"}).content.decode()
    assert f"patient {patient.pk}" not in superuser.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("may_view", "seen"),
    [
        ((), set()),
        (("view_patient",), {"medics_patient"}),
        (("view_referral",), {"medics_referral"}),
        (("view_patient", "view_referral"), {"medics_patient", "medics_referral"}),
    ],
)
def test_lines_about_patients_are_for_who_may_view_patients(browser, referral, may_view, seen):
    Referral.objects.update(clinical_notes="Fever since Monday")
    auditor = PractitionerFactory(is_staff=True)
    auditor.user_permissions.set(
        Permission.objects.filter(codename__in=["view_historyentry", *may_view])
    )
    client = browser(auditor)
    name = HistoryEntry.objects.get(subject_table="medics_patient")
    notes = HistoryEntry.objects.get(new={"clinical_notes": "Fever since Monday"})

    shown = {
        table
        for table in ("medics_patient", "medics_referral")
        for query in ({}, {"about": table}, {"q": notes.subject_id}, {"q": name.subject_id})
        if any(entry.subject_table == table for entry in found(client, **query))
    }
    page = client.get(LIST).content.decode()
    opened = {
        entry.subject_table
        for entry in (name, notes)
        if client.get(f"{LIST}{entry.pk}/change/").status_code == 200
    }
    # A filter that answers says as much as a page.
    guessed = {
        table
        for table, guess in [
            ("medics_patient", {"new__full_name_or_id__startswith": "Akosua"}),
            ("medics_referral", {"new__clinical_notes__startswith": "Fever"}),
        ]
        if found(client, **guess)
    }

    assert shown == opened == guessed == seen
    assert ("Akosua Mensah" in page) is ("medics_patient" in seen)
    assert ("Fever since Monday" in page) is ("medics_referral" in seen)
    assert any(entry.subject_table == "medics_facility" for entry in found(client))


# What it costs


@pytest.mark.django_db(transaction=True)
def test_no_page_reads_a_long_history_through(superuser, referral, rf):
    rows = 20_000
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO medics_statuschange
                (referral_id, from_status, to_status, changed_at, request_id)
            SELECT %s, 'Pending', 'Received', now() - n * interval '1 minute', 'r' || n
            FROM generate_series(1, %s) AS n
            """,
            [referral.pk, rows],
        )
        cursor.execute(
            """
            INSERT INTO medics_change (changed_at, request_id, action, row_table, row_id,
                                       subject_table, subject_id)
            SELECT now() - n * interval '1 minute', 'r' || n, 'created', 'medics_patient', n,
                'medics_patient', n
            FROM generate_series(1, %s) AS n
            """,
            [rows],
        )
        cursor.execute("VACUUM ANALYZE medics_statuschange, medics_change")
        entries = HistoryEntry.objects.select_related("changed_by")
        newest = entries.order_by("-changed_at", "-id")
        for queryset in (
            newest[:50],
            newest.filter(subject_table="medics_patient", subject_id="77")[:100],
            newest.filter(request_id="r77")[:50],
            newest.filter(of_request("r77"))[:50],
            newest.filter(changed_by=referral.referred_by)[:50],
        ):
            nodes = nodes_run(*queryset.query.sql_with_params())
            read = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes]
            assert max(read) <= 200, nodes


def test_a_line_about_a_model_that_is_gone_is_shown_by_its_table(superuser, referral):
    of_patient = {"subject_table": "medics_patient", "subject_id": referral.patient_id}
    for about in (
        {"subject_table": "medics_ward", "subject_id": "7"},
        of_patient,
    ):
        Change.objects.create(
            changed_at=timezone.now(), action="changed", row_table="medics_bed", row_id="9", **about
        )

    listed = superuser.get("/admin/medics/historyentry/").content.decode()
    of_one = superuser.get(
        reverse("admin:medics_patient_history", args=[referral.patient_id])
    ).content.decode()

    assert "medics_bed 9" in listed
    assert "medics_ward 7" in listed
    assert "medics_bed 9" in of_one
    for entry in HistoryEntry.objects.filter(row_table="medics_bed"):
        page = reverse("admin:medics_historyentry_change", args=[entry.pk])
        assert superuser.get(page).status_code == 200
