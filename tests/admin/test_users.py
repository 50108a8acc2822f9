import re

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from authentication.models import Session, User, UserType
from authentication.services import open_session
from medics.models import Facility
from tests.factories import (
    PASSWORD,
    FacilityBranchFactory,
    FacilityFactory,
    PractitionerFactory,
    TechnicianFactory,
    UserFactory,
)
from tests.support.admin_pages import errors_on, filled_in, messages_on, page_of

ADD = "/admin/authentication/user/add/"
LIST = "/admin/authentication/user/"
NEW_PASSWORD = "Another1!pass"


def new_user(**changes) -> dict:
    return {
        "phone_number": "024 412 3456",
        "full_name": "Esi Owusu",
        "user_type": UserType.LAB_TECHNICIAN,
        "password1": PASSWORD,
        "password2": PASSWORD,
        "must_change_password": "on",
        **changes,
    }


@pytest.fixture
def elsewhere(db):
    """A branch of a facility that Korle Laboratory has nothing to do with."""
    return FacilityBranchFactory(facility=FacilityFactory(name="Tema Diagnostics"), name="Harbour")


def branches_of(user: User) -> set:
    return {assignment.branch for assignment in user.branch_assignments.all()}


# Adding


def test_a_user_is_added_with_the_place_of_work_on_one_form(superuser, anyone):
    facility = FacilityFactory()
    osu, tema = FacilityBranchFactory.create_batch(2, facility=facility)
    FacilityBranchFactory(facility=facility)

    response = superuser.post(
        ADD, new_user(facility=facility.pk, branches=[osu.pk, tema.pk], administers="on")
    )

    assert (response.status_code, response.url) == (302, LIST)
    esi = User.objects.get(full_name="Esi Owusu")
    assert esi.phone_number == "0244123456"
    assert esi.administered_facility == facility
    assert branches_of(esi) == {osu, tema}
    login = anyone.post(
        "/api/auth/login", {"phone_number": "+233244123456", "password": PASSWORD}
    ).json()["data"]["user_data"]
    assert login["is_new_user"] is True
    assert login["is_admin"] is True
    assert login["facility"] == {"id": facility.pk, "name": facility.name}


def test_a_practitioner_needs_no_facility(superuser):
    superuser.post(ADD, new_user(user_type=UserType.MEDICAL_PRACTITIONER))

    assert branches_of(User.objects.get(full_name="Esi Owusu")) == set()


def test_the_forced_change_of_the_password_is_ticked_at_first(superuser):
    form = superuser.get(ADD).context["adminform"].form

    assert form["must_change_password"].value() is True
    superuser.post(ADD, new_user(must_change_password=""))
    assert User.objects.get(full_name="Esi Owusu").must_change_password is False


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"password2": "Other1!pass"}, "password2"),
        ({"password1": "weak", "password2": "weak"}, "password2"),
        ({"phone_number": "12"}, "phone_number"),
        ({"phone_number": "call me"}, "phone_number"),
        ({"user_type": "Surgeon"}, "user_type"),
        ({"user_type": ""}, "user_type"),
        ({"administers": "on"}, "facility"),
        ({"facility": "999999999999999999999"}, "facility"),
    ],
)
def test_what_cannot_be_is_refused_under_its_field(superuser, changes, field):
    response = superuser.post(ADD, new_user(**changes))

    assert list(errors_on(response)) == [field]
    assert not User.objects.filter(full_name="Esi Owusu").exists()


@pytest.mark.parametrize("spelling", ["0241234567", "+233 (24) 123-45-67", "00 [024] 123"])
def test_a_taken_number_is_refused_in_every_spelling(superuser, spelling):
    UserFactory(phone_number="0241234567")
    UserFactory(phone_number="00024123")

    response = superuser.post(ADD, new_user(phone_number=spelling))

    assert errors_on(response) == {
        "phone_number": ["A user with this phone number already exists."]
    }
    assert not User.objects.filter(full_name="Esi Owusu").exists()


def test_a_number_taken_meanwhile_is_a_message(superuser, monkeypatch):
    """The form looks first; the database decides."""
    UserFactory(phone_number="0244123456")
    monkeypatch.setattr(
        "authentication.admin.AccountForm.clean_phone_number",
        lambda form: form.cleaned_data["phone_number"],
    )

    response = superuser.post(ADD, new_user(phone_number="+233244123456"), follow=True)

    assert messages_on(response) == [
        "This was changed by somebody else at the same time. Try again."
    ]
    assert not User.objects.filter(full_name="Esi Owusu").exists()


# The place of work


def test_branches_of_another_facility_are_refused(superuser, laboratory, branch, elsewhere):
    response = superuser.post(
        ADD, new_user(facility=laboratory.pk, branches=[branch.pk, elsewhere.pk])
    )

    assert errors_on(response) == {"branches": ["A branch of another facility was chosen."]}
    assert not User.objects.filter(full_name="Esi Owusu").exists()


def test_branches_without_a_facility_are_refused(superuser, branch):
    response = superuser.post(ADD, new_user(branches=[branch.pk]))

    assert list(errors_on(response)) == ["branches"]


def test_a_facility_alone_ties_nobody_to_it_and_is_refused(superuser, laboratory):
    response = superuser.post(ADD, new_user(facility=laboratory.pk))

    assert list(errors_on(response)) == ["branches"]


def test_the_form_shows_where_somebody_works(superuser, kofi, branch, laboratory, elsewhere):
    closed = FacilityBranchFactory(facility=laboratory, name="Accra", is_active=False)

    form = superuser.get(page_of(kofi)).context["adminform"].form

    assert form["facility"].value() == laboratory.pk
    assert form["branches"].value() == [branch.pk]
    assert form["administers"].value() is False
    offered = [(value.value, label) for value, label in form.fields["branches"].choices]
    assert offered == [(closed.pk, "Accra (closed)"), (branch.pk, "Osu")]


def test_saving_the_form_as_it_is_changes_nothing(superuser, efua, kofi, branch, laboratory):
    for user in (efua, kofi):
        response = superuser.post(page_of(user), filled_in(superuser, page_of(user)))
        assert response.status_code == 302

    kofi.refresh_from_db()
    laboratory.refresh_from_db()
    assert branches_of(kofi) == {branch}
    assert laboratory.admin == efua
    assert kofi.check_password(PASSWORD)
    assert kofi.must_change_password is False


def test_somebody_moves_to_another_facility(superuser, kofi, elsewhere):
    moved = filled_in(
        superuser,
        page_of(kofi),
        facility=elsewhere.facility_id,
        branches=[elsewhere.pk],
        administers="on",
    )

    superuser.post(page_of(kofi), moved)

    assert branches_of(kofi) == {elsewhere}
    assert User.objects.get(pk=kofi.pk).administered_facility == elsewhere.facility


def test_an_administrator_who_moves_leaves_the_facility_without_one(
    superuser, efua, laboratory, elsewhere
):
    moved = filled_in(
        superuser, page_of(efua), facility=elsewhere.facility_id, branches=[elsewhere.pk]
    )

    superuser.post(page_of(efua), moved)

    laboratory.refresh_from_db()
    assert laboratory.admin is None
    assert User.objects.get(pk=efua.pk).administered_facility == elsewhere.facility


def test_whoever_leaves_the_laboratory_has_no_place_of_work(superuser, kofi):
    superuser.post(page_of(kofi), filled_in(superuser, page_of(kofi), facility=None, branches=None))

    assert branches_of(kofi) == set()


def test_a_facility_is_not_taken_over_unawares(superuser, kofi, efua, laboratory):
    taking = filled_in(superuser, page_of(kofi), administers="on", full_name="Kofi the First")

    response = superuser.post(page_of(kofi), taking)

    [error] = errors_on(response)["administers"]
    assert "Korle Laboratory is administered by Efua Asante" in error
    assert reverse("admin:medics_facility_change", args=[laboratory.pk]) in error
    kofi.refresh_from_db()
    laboratory.refresh_from_db()
    assert laboratory.admin == efua
    assert kofi.full_name == "Kofi Boateng"


def test_a_facility_taken_meanwhile_saves_nothing_at_all(superuser, kofi, laboratory, monkeypatch):
    monkeypatch.setattr("medics.admin.staff.PlaceOfWorkForm.refuse_take_over", lambda *args: None)
    taking = filled_in(superuser, page_of(kofi), administers="on", full_name="Kofi the First")

    response = superuser.post(page_of(kofi), taking, follow=True)

    assert messages_on(response) == [
        "This was changed by somebody else at the same time. Try again."
    ]
    kofi.refresh_from_db()
    assert kofi.full_name == "Kofi Boateng"


def test_the_browser_is_offered_the_branches_of_the_chosen_facility(
    superuser, laboratory, branch, elsewhere
):
    FacilityBranchFactory(facility=laboratory, name="Accra", is_active=False)
    url = (
        superuser.get(ADD)
        .context["adminform"]
        .form.fields["facility"]
        .widget.build_attrs({})["data-branches-url"]
    )

    offered = superuser.get(url, {"facility": laboratory.pk}).json()["branches"]

    assert [row["label"] for row in offered] == ["Accra (closed)", "Osu"]
    assert superuser.get(url, {"facility": "x"}).json() == {"branches": []}
    assert superuser.get(url).json() == {"branches": []}


def test_the_branches_are_offered_to_operators_alone(browser, efua, laboratory):
    url = reverse("admin:authentication_user_branches")

    assert browser(efua).get(url, {"facility": laboratory.pk}).status_code == 302
    newcomer = PractitionerFactory(is_staff=True)
    assert browser(newcomer).get(url, {"facility": laboratory.pk}).status_code == 403


# Finding


@pytest.mark.parametrize(
    "text", ["0244123456", "+233 24 412 3456", "024-412-3456", "412345", "Esi", "owusu esi"]
)
def test_a_user_is_found_by_name_and_number(superuser, text):
    esi = UserFactory(full_name="Esi Owusu", phone_number="+233244123456")
    UserFactory(full_name="Yaa", phone_number="0209999999")

    assert list(superuser.get(LIST, {"q": text}).context["cl"].result_list) == [esi]


def test_the_people_of_one_facility_are_a_list(superuser, efua, kofi, laboratory, yaw, elsewhere):
    TechnicianFactory(branches=[elsewhere])

    found = superuser.get(LIST, {"facility": laboratory.pk}).context["cl"].result_list

    assert set(found) == {efua, kofi}
    assert superuser.get(LIST, {"facility": "x"}).status_code == 200


# Passwords and access


def test_a_password_given_by_an_operator_must_be_changed_and_ends_all_sessions(
    superuser, kofi, signed_in
):
    kofis_phone = signed_in(kofi)
    url = reverse("admin:auth_user_password_change", args=[kofi.pk])

    response = superuser.post(url, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})

    assert (response.status_code, response.url) == (302, page_of(kofi))
    kofi.refresh_from_db()
    assert kofi.check_password(NEW_PASSWORD)
    assert kofi.must_change_password is True
    assert not Session.objects.open().filter(user=kofi).exists()
    assert kofis_phone.get("/api/medics/referrals/technician").status_code == 401


@pytest.mark.parametrize(
    "passwords",
    [
        {"password1": NEW_PASSWORD, "password2": "Other1!pass"},
        {"password1": "weak", "password2": "weak"},
        {"password1": PASSWORD, "password2": PASSWORD},
        {"usable_password": "false", "unset-password": "1"},
    ],
)
def test_a_refused_password_changes_nothing(superuser, kofi, passwords):
    open_session(user=kofi)

    response = superuser.post(reverse("admin:auth_user_password_change", args=[kofi.pk]), passwords)

    assert response.status_code == 200
    assert response.context["form"].errors
    kofi.refresh_from_db()
    assert kofi.check_password(PASSWORD)
    assert Session.objects.open().filter(user=kofi).exists()


def test_ones_own_password_is_changed_on_its_own_page(superuser, root):
    response = superuser.get(reverse("admin:auth_user_password_change", args=[root.pk]))

    assert (response.status_code, response.url) == (302, reverse("admin:password_change"))


def test_whoever_is_switched_off_has_no_session_left(superuser, kofi):
    open_session(user=kofi)

    superuser.post(page_of(kofi), filled_in(superuser, page_of(kofi), is_active=None))

    kofi.refresh_from_db()
    assert kofi.is_active is False
    assert not Session.objects.open().filter(user=kofi).exists()


def test_nobody_is_deleted(superuser, yaw):
    response = superuser.post(
        reverse("admin:authentication_user_delete", args=[yaw.pk]), {"post": "yes"}
    )

    assert response.status_code == 403
    assert User.objects.filter(pk=yaw.pk).exists()


# Roles


def test_an_operator_adds_and_changes_people_but_gives_no_role(browser, operator, kofi):
    client = browser(operator)
    roles = {"is_staff": "on", "is_superuser": "on", "groups": [Group.objects.create(name="G").pk]}
    roles["user_permissions"] = [Permission.objects.first().pk]

    added = client.post(ADD, new_user(**roles))
    changed = client.post(
        page_of(kofi), filled_in(client, page_of(kofi), full_name="Kofi B.", **roles)
    )

    assert [added.status_code, changed.status_code] == [302, 302]
    for user in User.objects.filter(full_name__in=["Esi Owusu", "Kofi B."]):
        assert (user.is_staff, user.is_superuser) == (False, False)
        assert not user.groups.exists()
        assert not user.user_permissions.exists()
    assert User.objects.filter(full_name__in=["Esi Owusu", "Kofi B."]).count() == 2


@pytest.mark.parametrize("whom", ["root", "colleague", "operator"])
def test_an_operator_changes_no_operators_account(browser, operator, root, whom):
    colleague = UserFactory(full_name="Colleague", is_staff=True)
    target = {"root": root, "colleague": colleague, "operator": operator}[whom]
    client = browser(operator)
    passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}

    change = client.post(page_of(target), {"phone_number": "0244123456", "is_superuser": "on"})
    client.post(reverse("admin:auth_user_password_change", args=[target.pk]), passwords)

    assert change.status_code == 403
    before, target = target, User.objects.get(pk=target.pk)
    assert target.check_password(PASSWORD)
    assert target.phone_number == before.phone_number
    assert target.is_superuser == before.is_superuser


def test_an_operator_sees_an_operators_account(browser, operator, root):
    response = browser(operator).get(page_of(root))

    assert response.status_code == 200
    assert root.password not in response.content.decode()


def test_an_operator_cannot_reach_the_groups(browser, operator):
    group = Group.objects.create(name="Operators")
    client = browser(operator)

    assert client.get("/admin/auth/group/").status_code == 403
    change = client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Mine"})
    assert change.status_code == 403
    assert "/admin/auth/group/" not in client.get("/admin/").content.decode()


def test_a_superuser_makes_operators(superuser, yaw):
    group = Group.objects.create(name="Operators")
    promoted = filled_in(superuser, page_of(yaw), is_staff="on", groups=[group.pk])

    superuser.post(page_of(yaw), promoted)

    yaw.refresh_from_db()
    assert yaw.is_staff is True
    assert list(yaw.groups.all()) == [group]


def test_a_page_costs_the_same_however_many_branches_there_are(
    superuser, kofi, laboratory, django_assert_num_queries
):
    superuser.get(page_of(kofi))
    with CaptureQueriesContext(connection) as few:
        superuser.get(page_of(kofi))
    FacilityBranchFactory.create_batch(10, facility=laboratory)

    with django_assert_num_queries(len(few)):
        superuser.get(page_of(kofi))


def test_facilities_have_one_administrator_each(superuser, efua, laboratory):
    superuser.post(ADD, new_user(facility=laboratory.pk, administers="on"))

    assert Facility.objects.get(pk=laboratory.pk).admin == efua


# Who may give a place of work


def clerk_with(*codenames) -> User:
    clerk = UserFactory(full_name="Clerk", is_staff=True)
    own = ["view_user", "add_user", "change_user", "view_facility", "change_facility"]
    clerk.user_permissions.set(Permission.objects.filter(codename__in=[*own, *codenames]))
    return clerk


def test_changing_accounts_is_not_enough_to_make_a_technician(browser, yaw, kofi, branch):
    client = browser(clerk_with())
    place = {"facility": branch.facility_id, "branches": [branch.pk], "administers": "on"}
    efua = branch.facility.admin

    client.post(ADD, new_user(**place))
    renamed = filled_in(client, page_of(yaw), full_name="Yaw D.")
    client.post(page_of(yaw), renamed | place)
    client.post(page_of(kofi), filled_in(client, page_of(kofi), full_name="K.") | {"branches": []})
    facility = reverse("admin:medics_facility_change", args=[branch.facility_id])
    client.post(facility, filled_in(client, facility) | {"admin": yaw.pk})

    assert branches_of(User.objects.get(full_name="Esi Owusu")) == set()
    assert branches_of(User.objects.get(full_name="Yaw D.")) == set()
    assert branches_of(User.objects.get(full_name="K.")) == {branch}
    assert Facility.objects.get(pk=branch.facility_id).admin == efua
    for user in (kofi, efua):
        url = reverse("admin:auth_user_password_change", args=[user.pk])
        sent = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
        assert client.post(url, sent).status_code == 403
        assert User.objects.get(pk=user.pk).check_password(PASSWORD)


def test_a_place_of_work_does_not_come_with_an_administration(browser, yaw, efua, branch):
    client = browser(clerk_with("assign_staff"))
    place = {"facility": branch.facility_id, "branches": [branch.pk], "administers": "on"}
    Facility.objects.update(admin=None)
    other = FacilityFactory(admin=efua)

    added = client.post(ADD, new_user(**place))
    changed = client.post(page_of(yaw), filled_in(client, page_of(yaw)) | place)
    client.post(page_of(efua), filled_in(client, page_of(efua), full_name="E. Asante") | place)

    assert [added.status_code, changed.status_code] == [302, 302]
    assert branches_of(User.objects.get(full_name="Esi Owusu")) == {branch}
    assert branches_of(yaw) == {branch}
    assert Facility.objects.get(pk=branch.facility_id).admin is None
    efua.refresh_from_db()
    assert (efua.full_name, efua.administered_facility) == ("E. Asante", other)
    assert branches_of(efua) == set()


# An account that comes to open more


def works(client, user, branch):
    place = {"facility": branch.facility_id, "branches": [branch.pk]}
    return client.post(page_of(user), filled_in(client, page_of(user), **place))


def administers(client, user, branch):
    place = {"facility": branch.facility_id, "administers": "on"}
    Facility.objects.update(admin=None)
    return client.post(page_of(user), filled_in(client, page_of(user), **place))


def is_chosen_by_the_facility(client, user, branch):
    url = reverse("admin:medics_facility_change", args=[branch.facility_id])
    return client.post(url, filled_in(client, url, admin=user.pk))


def is_named_by_a_new_facility(client, user, branch):
    url = "/admin/medics/facility/add/"
    empty = {"branches-TOTAL_FORMS": 0, "branches-INITIAL_FORMS": 0}
    return client.post(url, {"name": "Ridge", "admin": user.pk, **empty})


def is_technician(client, user, branch):
    role = {"user_type": UserType.LAB_TECHNICIAN}
    return client.post(page_of(user), filled_in(client, page_of(user), **role))


def is_operator(client, user, branch):
    return client.post(page_of(user), filled_in(client, page_of(user), is_staff="on"))


MORE = [
    works,
    administers,
    is_chosen_by_the_facility,
    is_named_by_a_new_facility,
    is_technician,
    is_operator,
]


@pytest.mark.parametrize("come_to_more", MORE)
def test_who_registered_a_number_first_does_not_get_in_by_it(
    superuser, signed_in, anyone, branch, come_to_more
):
    number = {"phone_number": "0244123456", "password": PASSWORD}
    anyone.post("/api/auth/register", {"full_name": "Esi Owusu", **number})
    tokens = anyone.post("/api/auth/login", number).json()["data"]
    esi = User.objects.get(full_name="Esi Owusu")
    page_of_password = reverse("admin:auth_user_password_change", args=[esi.pk])

    assert "self-registered" in superuser.get(page_of(esi)).content.decode()
    response = come_to_more(superuser, esi, branch)

    assert (response.status_code, response.url) == (302, page_of_password)
    told = " ".join(messages_on(superuser.get(page_of_password)))
    assert "made by: self-registered" in told
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens['access_token']}")
    assert anyone.get("/api/medics/referrals/technician").status_code == 401
    anyone.credentials()
    refreshed = {"refresh": tokens["refresh_token"]}
    assert anyone.post("/api/auth/token/refresh", refreshed).status_code == 401
    assert anyone.post("/api/auth/login", number).status_code == 400

    superuser.post(page_of_password, {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})

    login = anyone.post("/api/auth/login", {**number, "password": NEW_PASSWORD})
    assert login.status_code == 200
    anyone.credentials(HTTP_AUTHORIZATION=f"Bearer {login.json()['data']['access_token']}")
    assert anyone.get("/api/medics/referrals/practitioner").status_code == 403


def test_who_moves_within_what_he_had_keeps_password_and_session(superuser, kofi, branch):
    open_session(user=kofi)
    other = FacilityBranchFactory(facility=branch.facility)

    works(superuser, kofi, other)

    kofi.refresh_from_db()
    assert branches_of(kofi) == {other}
    assert kofi.check_password(PASSWORD)
    assert Session.objects.open().filter(user=kofi).exists()


def test_who_is_made_with_a_place_of_work_changes_the_password(superuser, branch):
    place = {"facility": branch.facility_id, "branches": [branch.pk]}

    response = superuser.post(ADD, new_user(**place, must_change_password=""))

    assert list(errors_on(response)) == ["must_change_password"]
    assert not User.objects.filter(full_name="Esi Owusu").exists()


def test_ones_own_password_stays(superuser, root, branch):
    works(superuser, root, branch)

    root.refresh_from_db()
    assert branches_of(root) == {branch}
    assert root.check_password(PASSWORD)
    assert superuser.get(LIST).status_code == 200


def test_the_page_tells_who_made_the_account(superuser, root, efua, signed_in, branch):
    new = {"full_name": "Abena", "phone_number": "0244123457", "password": PASSWORD}
    signed_in(efua).post("/api/medics/lab-technicians/add", {**new, "branch_id": branch.pk})
    superuser.post(ADD, new_user())

    for name, made_by in [("Abena", str(efua)), ("Esi Owusu", str(root)), ("Root", "not known")]:
        page = superuser.get(page_of(User.objects.get(full_name=name))).content.decode()
        assert re.search(rf'made_by.*?class="readonly">{re.escape(made_by)}', page, re.DOTALL)
