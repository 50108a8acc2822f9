import pytest
from django.urls import reverse

from medics.models import Facility, FacilityBranch
from medics.services.technicians import set_place_of_work
from tests.factories import FacilityBranchFactory, FacilityFactory, TechnicianFactory
from tests.support.admin_pages import errors_on, filled_in, page_of
from tests.support.concurrency import at_once, while_open

ADD = "/admin/medics/facility/add/"


def new_facility(*branch_names: str, **changes) -> dict:
    data = {
        "name": "Ridge Laboratory",
        "branches-TOTAL_FORMS": len(branch_names),
        "branches-INITIAL_FORMS": 0,
    }
    for position, name in enumerate(branch_names):
        data |= {f"branches-{position}-name": name, f"branches-{position}-is_active": "on"}
    return data | changes


def test_a_facility_is_added_with_its_branches_and_administrator(superuser, efua):
    superuser.post(ADD, new_facility("Osu", "Tema", admin=efua.pk))

    ridge = Facility.objects.get(name="Ridge Laboratory")
    assert ridge.admin == efua
    assert set(ridge.branches.values_list("name", "is_active")) == {("Osu", True), ("Tema", True)}


@pytest.mark.parametrize("name", ["Korle Laboratory", "KORLE laboratory ", "korle laboratory"])
def test_a_facility_named_as_another_is_refused(superuser, laboratory, name):
    """The public list could not tell them apart."""
    other = FacilityFactory(name="Ridge")
    renamed = filled_in(superuser, page_of(other), name=name)

    for response in (
        superuser.post(ADD, new_facility(name=name)),
        superuser.post(page_of(other), renamed),
    ):
        assert errors_on(response) == {"name": ["A facility with this name already exists."]}
    assert set(Facility.objects.values_list("name", flat=True)) == {"Korle Laboratory", "Ridge"}


def test_one_of_two_namesakes_of_before_can_be_changed_and_renamed(superuser, laboratory):
    FacilityFactory(name="KORLE LABORATORY")

    for name in ("Korle laboratory", "Korle Bu"):
        data = filled_in(superuser, page_of(laboratory), name=name)
        assert superuser.post(page_of(laboratory), data).status_code == 302


@pytest.mark.django_db(transaction=True)
def test_of_two_facilities_of_one_name_made_at_once_one_is_refused(root, browser):
    answers = at_once(
        lambda name: browser(root).post(ADD, new_facility(name=name)).status_code,
        ["Ridge", "RIDGE"],
    )

    assert sorted(answers) == [200, 302]
    assert Facility.objects.count() == 1


def test_two_new_branches_of_one_name_are_refused(superuser):
    response = superuser.post(ADD, new_facility("Osu", "OSU"))

    assert errors_on(response) == {"name": ["This name stands here twice."]}
    assert not Facility.objects.exists()


def test_a_branch_named_as_another_is_refused(superuser, laboratory, branch):
    data = filled_in(superuser, page_of(laboratory))
    data |= {
        "branches-TOTAL_FORMS": 2,
        "branches-1-name": "osu",
        "branches-1-facility": laboratory.pk,
    }

    response = superuser.post(page_of(laboratory), data)

    assert errors_on(response) == {"name": ["This name stands here twice."]}
    assert laboratory.branches.count() == 1


def test_a_branch_is_closed_and_opened_again(superuser, laboratory, branch):
    for is_active in (None, "on"):
        data = filled_in(superuser, page_of(laboratory), **{"branches-0-is_active": is_active})
        superuser.post(page_of(laboratory), data)

        branch.refresh_from_db()
        assert branch.is_active is (is_active == "on")


def test_the_facilitys_page_hands_it_to_another_administrator(superuser, kofi, laboratory):
    superuser.post(page_of(laboratory), filled_in(superuser, page_of(laboratory), admin=kofi.pk))

    laboratory.refresh_from_db()
    assert laboratory.admin == kofi


def test_nobody_administers_two_facilities(superuser, efua, laboratory):
    response = superuser.post(ADD, new_facility(admin=efua.pk))

    assert errors_on(response) == {"admin": ["This person administers another facility already."]}


def test_nobody_administers_a_facility_and_works_at_another(superuser, kofi):
    response = superuser.post(ADD, new_facility(admin=kofi.pk))

    assert errors_on(response) == {"admin": ["This person works at a branch of Korle Laboratory."]}


@pytest.mark.parametrize("spelling", ["0244123456", "+233 24 412 3456", "Esi"])
def test_the_administrator_is_found_by_name_and_number(superuser, spelling):
    esi = TechnicianFactory(full_name="Esi Owusu", phone_number="+233244123456")
    TechnicianFactory()

    found = superuser.get(
        reverse("admin:autocomplete"),
        {"app_label": "medics", "model_name": "facility", "field_name": "admin", "term": spelling},
    )

    assert found.json()["results"] == [{"id": str(esi.pk), "text": str(esi)}]


def test_neither_facility_nor_branch_is_deleted(superuser, laboratory, branch):
    response = superuser.post(
        reverse("admin:medics_facility_delete", args=[laboratory.pk]), {"post": "yes"}
    )
    deleting = filled_in(superuser, page_of(laboratory), **{"branches-0-DELETE": "on"})
    superuser.post(page_of(laboratory), deleting)

    assert response.status_code == 403
    assert FacilityBranch.objects.filter(pk=branch.pk).exists()


def test_the_list_counts_the_open_branches(superuser, laboratory, branch):
    FacilityBranchFactory(facility=laboratory, is_active=False)
    FacilityFactory()

    listed = superuser.get("/admin/medics/facility/").context["cl"].result_list

    assert {facility.name: facility.open for facility in listed}[laboratory.name] == 1


def test_the_page_leads_to_the_lists_of_the_facility(superuser, laboratory, referral):
    page = superuser.get(page_of(laboratory)).content.decode()

    for model in ("authentication_user", "medics_testtype", "medics_test", "medics_referral"):
        url = reverse(f"admin:{model}_changelist", query={"facility": laboratory.pk})
        assert f'href="{url}"' in page
        assert superuser.get(url).context["cl"].result_count > 0


@pytest.mark.django_db(transaction=True)
def test_a_place_of_work_given_meanwhile_is_an_error_of_the_form(superuser, efua, laboratory):
    esi, elsewhere = TechnicianFactory(), FacilityBranchFactory()
    naming = filled_in(superuser, page_of(laboratory), admin=esi.pk)

    response = while_open(
        lambda: set_place_of_work(
            user=esi, facility=elsewhere.facility, branches=[elsewhere], administers=False
        ),
        lambda: superuser.post(page_of(laboratory), naming),
    )

    assert errors_on(response) == {
        "admin": [f"This person works at a branch of {elsewhere.facility}."]
    }
    laboratory.refresh_from_db()
    assert laboratory.admin == efua
