"""Names and identifiers are kept as the contract has them, by whatever way they come."""

from io import StringIO
from itertools import count
from unittest import mock

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from _tetradx.values.names import clean_name
from authentication.models import User
from medics.management.commands import create_facility as command
from medics.models import Facility, FacilityBranch, Referral, Test, TestType
from tests.factories import PASSWORD, PatientFactory, UserFactory
from tests.support.admin_pages import filled_in

pytestmark = pytest.mark.django_db

# U+FEFF is a byte order mark, as files begin with; U+3164 fills a place for a Hangul letter.
INVISIBLE = ["\u200b", "\u2060\ufeff", "\u00ad", "\u3164", "\u2800", "\u0378", "\ufe0f", "\u0301"]
CONTROLS = ["A\x07ma", "A\x1bma", "A\x7fma", "A\x9bma", "A\nma", "A\tma"]
REFUSED = [*INVISIBLE, *CONTROLS, "\x01Ama", "\u0301\u0308", "\u200b \u00a0"]
KEPT = [
    (" \u200bAma\u200d\u00a0\ufeff", "Ama"),
    ("\u2066Esi\u2069", "Esi"),
    ("Ade\u0301o\u0323la\u0301", "Ad\u00e9\u1ecdl\u00e1"),
    # An accent at the end that no letter has in one piece; one within that joins two letters.
    ("Ab\u025b\u0303", "Ab\u025b\u0303"),
    ("\u0646\u200c\u0646", "\u0646\u200c\u0646"),
    ("\u674e\u5c0f\u9f8d", "\u674e\u5c0f\u9f8d"),
    ("4711", "4711"),
    ("\U0001f600", "\U0001f600"),
    ("Akosua  O'Brien-\u0186b\u025bn", "Akosua  O'Brien-\u0186b\u025bn"),
]

numbers = (f"0245{n:06}" for n in count())


def posted(client, url, **fields):
    """Gives the detail of a refusal, else None."""
    answer = client.post(url, fields, format="json")
    assert answer.status_code in {200, 201, 400}, answer.content
    return answer.json()["detail"] if answer.status_code == 400 else None


@pytest.fixture
def ways(anyone, signed_in, ama, efua, branch, blood_count, superuser, monkeypatch):
    """What takes a name by each way and gives what was stored, or None where it was refused."""

    def register(name):
        detail = posted(
            anyone,
            reverse("auth:user-register"),
            full_name=name,
            phone_number=next(numbers),
            password=PASSWORD,
        )
        assert detail is None or list(detail) == ["full_name"]
        return None if detail else User.objects.latest("created_at").full_name

    def add_technician(name):
        detail = posted(
            signed_in(efua),
            reverse("medics:add-lab-technician"),
            full_name=name,
            phone_number=next(numbers),
            branch_id=branch.pk,
            password=PASSWORD,
        )
        assert detail is None or list(detail) == ["full_name"]
        return None if detail else User.objects.latest("created_at").full_name

    def refer(name, key="patient_full_name_or_id"):
        detail = posted(
            signed_in(ama),
            reverse("medics:create-referral"),
            **{key: name},
            branch_id=branch.pk,
            tests=[blood_count.pk],
        )
        assert detail is None or set(detail) <= {key, "patient_full_name_or_id"}
        if detail is None:
            referral = Referral.objects.select_related("patient").latest("referred_at")
            assert referral.patient.full_name_or_id == referral.patient_name_or_id
        return None if detail else referral.patient_name_or_id

    def add_branch(name):
        detail = posted(signed_in(efua), reverse("medics:add-branch"), name=name)
        assert detail is None or list(detail) == ["name"]
        return None if detail else FacilityBranch.objects.latest("id").name

    def add_type(name):
        detail = posted(
            signed_in(efua),
            reverse("utilities:add-test-types"),
            name=name,
            tests=[{"name": "UREA"}],
        )
        assert detail is None or list(detail) == ["name"]
        return None if detail else TestType.objects.latest("id").name

    def add_test(name):
        detail = posted(
            signed_in(efua),
            reverse("utilities:add-test-types"),
            name=f"CHEMISTRY {next(numbers)}",
            tests=[{"name": name}],
        )
        assert detail is None or list(detail) == ["tests"]
        return None if detail else Test.objects.latest("id").name

    def create_facility(given, **names):
        monkeypatch.setattr(command.sys, "stdin", mock.Mock(isatty=lambda: True))
        monkeypatch.setattr(command, "getpass", mock.Mock(return_value=PASSWORD))
        names = {"name": f"Ridge {next(numbers)}", "branch": "Main", "admin": "Esi", **names}
        try:
            call_command(
                "create_facility",
                names["name"],
                *("--branch", names["branch"], "--admin-name", names["admin"]),
                *("--admin-phone", next(numbers)),
                stdout=StringIO(),
            )
        except CommandError:
            return None
        facility = Facility.objects.latest("id")
        [made] = facility.branches.all()
        stored = {"name": facility.name, "branch": made.name, "admin": facility.admin.full_name}
        [stored_name] = (stored[key] for key in names if names[key] == given)
        return stored_name

    def by_page(url, model, given, field, **fields):
        before = model.objects.count()
        superuser.post(url, {**filled_in(superuser, url), **fields, field: given})
        found = model.objects.order_by("-created_at", "-pk").first()
        return getattr(found, field.split("-")[-1]) if model.objects.count() > before else None

    def by_sheet(name, column):
        row = ["Korle Laboratory", "SEROLOGY", "WIDAL"]
        row[column] = f'"{name}"'
        file = SimpleUploadedFile(
            "catalogue", f"facility,test type,test\n{','.join(row)}\n".encode()
        )
        sent = {"format": "0", "resource": "0", "import_file": file}
        preview = superuser.post("/admin/medics/test/import/", sent)
        if "confirm_form" not in preview.context:
            return None
        form = preview.context["confirm_form"].initial
        superuser.post("/admin/medics/test/process_import/", form)
        test = Test.objects.select_related("test_type").latest("id")
        return test.test_type.name if column == 1 else test.name

    inlines = {"branches-TOTAL_FORMS": 1, "branches-INITIAL_FORMS": 0}
    no_inlines = {
        f"{inline}-{n}_FORMS": 0 for inline in ("branches", "tests") for n in ("TOTAL", "INITIAL")
    }
    return {
        "register": register,
        "add-lab-technician": add_technician,
        "patient_full_name_or_id": refer,
        "patient_id": lambda name: refer(name, "patient_id"),
        "add-branch": add_branch,
        "add-test-types, the type": add_type,
        "add-test-types, a test": add_test,
        "create_facility": lambda name: create_facility(name, name=name),
        "create_facility, a branch": lambda name: create_facility(name, branch=name),
        "create_facility, the administrator": lambda name: create_facility(name, admin=name),
        "the page of a user": lambda name: by_page(
            "/admin/authentication/user/add/",
            User,
            name,
            "full_name",
            phone_number=next(numbers),
            user_type="Medical Practitioner",
            password1=PASSWORD,
            password2=PASSWORD,
        ),
        "the page of a facility": lambda name: by_page(
            "/admin/medics/facility/add/", Facility, name, "name", **no_inlines
        ),
        "the page of a facility, a branch": lambda name: by_page(
            "/admin/medics/facility/add/",
            FacilityBranch,
            name,
            "branches-0-name",
            name=f"Ridge {next(numbers)}",
            **inlines,
        ),
        "the page of a type": lambda name: by_page(
            "/admin/medics/testtype/add/",
            TestType,
            name,
            "name",
            facility=branch.facility_id,
            **no_inlines,
        ),
        "the page of a test": lambda name: by_page(
            "/admin/medics/test/add/",
            Test,
            name,
            "name",
            test_type=blood_count.test_type_id,
            price=1,
        ),
        "a sheet, the type": lambda name: by_sheet(name, 1),
        "a sheet, the test": lambda name: by_sheet(name, 2),
    }


@pytest.fixture
def superuser(db):
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


WAYS = [
    "register",
    "add-lab-technician",
    "patient_full_name_or_id",
    "patient_id",
    "add-branch",
    "add-test-types, the type",
    "add-test-types, a test",
    "create_facility",
    "create_facility, a branch",
    "create_facility, the administrator",
    "the page of a user",
    "the page of a facility",
    "the page of a facility, a branch",
    "the page of a type",
    "the page of a test",
    "a sheet, the type",
    "a sheet, the test",
]


@pytest.mark.parametrize("way", WAYS)
def test_a_name_that_nobody_can_see_or_with_a_control_character_is_refused(ways, way):
    stored = {name: ways[way](name) for name in REFUSED}
    assert stored == dict.fromkeys(REFUSED)


@pytest.mark.parametrize("way", WAYS)
def test_a_name_is_kept_in_nfc_without_invisible_characters_at_its_ends(ways, way):
    is_upper = way.startswith("add-test-types")
    for name, kept in KEPT:
        assert ways[way](name) == (clean_name(kept.upper()) if is_upper else kept)


def test_the_ways_are_all_tested(ways):
    assert list(ways) == WAYS


def test_what_differs_at_its_invisible_ends_is_one_name(signed_in, efua, branch):
    client = signed_in(efua)
    for name in ("Osu\u200b", "\ufeffosu", "OSU\u00a0"):
        answer = client.post(reverse("medics:add-branch"), {"name": name})
        assert (answer.status_code, list(answer.json()["detail"])) == (400, ["name"])
    assert FacilityBranch.objects.get() == branch


def test_what_scripts_store_is_clean_too(laboratory):
    branch = FacilityBranch(facility=laboratory, name="Te\u0301ma\u200b")
    branch.save()
    assert branch.name == "T\u00e9ma"
    [bulk] = FacilityBranch.objects.bulk_create(
        [FacilityBranch(facility=laboratory, name="\u200bNungua\u2060")]
    )
    bulk.refresh_from_db()
    assert bulk.name == "Nungua"
    assert PatientFactory(full_name_or_id="O\u0308").full_name_or_id == "\u00d6"
