import unicodedata

import pytest
from django.urls import reverse

from _tetradx.values.folding import fold
from medics.models import Patient, Referral
from tests.factories import PatientFactory, ReferralFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def refer(signed_in, branch, blood_count):
    """Refers whoever is named; gives the referral. Without a number, none is sent."""
    visits = 0

    def refer(practitioner, name, number=None):
        nonlocal visits
        visits += 1
        body = {
            "patient_full_name_or_id": name,
            "tests": [blood_count.id],
            "branch_id": branch.id,
            # No two bodies are equal, else the second would count as the first sent again.
            "clinical_notes": f"Visit {visits}",
        }
        if number is not None:
            body["patient_contact_number"] = number
        response = signed_in(practitioner).post(reverse("medics:create-referral"), body)
        assert response.status_code == 201
        return Referral.objects.get(id=response.json()["data"]["referral_id"])

    return refer


ONE_PATIENT = [
    # the same name and the same number
    (("Akosua Mensah", "0244123456"), ("Akosua Mensah", "0244123456")),
    (("Akosua Mensah", "0244123456"), ("Akosua Mensah", "+233 24 412 3456")),
    (("Akosua Mensah", "+233244123456"), ("Akosua Mensah", "(024) 412-3456")),
    (("Akosua Mensah", "233244123456"), ("Akosua Mensah", "+233244123456")),
    (("Akosua Mensah", "1234567"), ("Akosua Mensah", "123 45 67")),
    # case and spacing aside
    (("Akosua Mensah", "0244123456"), ("AKOSUA MENSAH", "0244123456")),
    (("Akosua Mensah", "0244123456"), ("  akosua    mensah ", "0244123456")),
    (("Akosua Mensah", "0244123456"), ("Akosua\u00a0Mensah", "0244123456")),
    (("Akosua Ɔbɛn", "0244123456"), ("AKOSUA ƆBƐN", "0244123456")),
    # an identifier and the same number
    (("GHA-123", "0244123456"), ("gha-123", "0244123456")),
]

TWO_PATIENTS = [
    # namesakes
    (("Akosua Mensah", None), ("Akosua Mensah", None)),
    (("Akosua Mensah", ""), ("Akosua Mensah", "")),
    (("Akosua Mensah", "0244123456"), ("Akosua Mensah", None)),
    (("Akosua Mensah", None), ("Akosua Mensah", "0244123456")),
    (("Akosua Mensah", "0244123456"), ("Akosua Mensah", "0244123457")),
    # several people on one phone
    (("Akosua Mensah", "0244123456"), ("Kwesi Mensah", "0244123456")),
    (("Akosua Mensah", "0244123456"), ("Akosua", "0244123456")),
    (("GHA-123", "0244123456"), ("GHA-124", "0244123456")),
    # an almost equal identifier
    (("GHA-123", None), ("GHA-1234", None)),
    (("GHA-123", None), ("GHA123", None)),
]

THE_SAME_IDENTIFIER = [
    (("GHA-123", None), ("GHA-123", None)),
    (("GHA-123", None), ("gha - 123", None)),
    (("GHA-123", "0244123456"), ("GHA-123", None)),
    (("GHA-123", None), ("GHA-123", "0244123456")),
    (("GHA-123", "0244123456"), ("GHA-123", "0244123457")),
    (("Akosua 2", None), ("Akosua 2", None)),
    (("٤٧١١", None), ("٤٧١١", None)),
]


@pytest.mark.parametrize("by", ["ama", "yaw"])
@pytest.mark.parametrize(("first", "second"), ONE_PATIENT)
def test_one_patient_whoever_refers(request, refer, ama, by, first, second):
    known = refer(ama, *first).patient
    assert refer(request.getfixturevalue(by), *second).patient == known
    assert Patient.objects.count() == 1


@pytest.mark.parametrize("by", ["ama", "yaw"])
@pytest.mark.parametrize(("first", "second"), TWO_PATIENTS)
def test_two_patients_whoever_refers(request, refer, ama, by, first, second):
    known = refer(ama, *first).patient
    assert refer(request.getfixturevalue(by), *second).patient != known
    assert Patient.objects.count() == 2


@pytest.mark.parametrize(("first", "second"), THE_SAME_IDENTIFIER)
def test_an_identifier_is_one_patient_for_the_same_practitioner(refer, ama, first, second):
    assert refer(ama, *second).patient == refer(ama, *first).patient
    assert Patient.objects.count() == 1


@pytest.mark.parametrize(("first", "second"), THE_SAME_IDENTIFIER)
def test_an_identifier_is_two_patients_for_two_practitioners(refer, ama, yaw, first, second):
    # Each practice has numbers of its own.
    assert refer(yaw, *second).patient != refer(ama, *first).patient
    assert Patient.objects.count() == 2


def test_an_identifier_that_each_of_two_named_stays_each_one_s_own(refer, ama, yaw):
    of_ama = refer(ama, "4711").patient
    of_yaw = refer(yaw, "4711").patient
    assert refer(ama, "4711").patient == of_ama
    assert refer(yaw, "4711").patient == of_yaw
    assert Patient.objects.count() == 2


def test_a_patient_whom_nobody_referred_is_known_by_name_and_number_alone(refer, ama):
    by_script = PatientFactory(full_name_or_id="GHA-123", contact_number="0244123456")
    assert refer(ama, "GHA-123").patient != by_script
    assert refer(ama, "GHA-123", "+233244123456").patient == by_script


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("Akosua Mensah", "0244123456"), ("AKOSUA  mensah", "+233244123456")),
        (("GHA-123", None), ("gha-123", "0244123456")),
        (("GHA-123", "0244123456"), ("gha-123", "0244999999")),
        (("GHA-123", "0244123456"), ("gha-123", None)),
    ],
)
def test_a_known_patient_is_never_overwritten(refer, ama, first, second):
    refer(ama, *first)
    stored = Patient.objects.values().get()
    refer(ama, *second)
    assert Patient.objects.values().get() == stored
    assert (stored["full_name_or_id"], stored["contact_number"]) == (first[0], first[1] or "")


@pytest.mark.parametrize(
    ("first", "guessed"),
    [
        (("Yaw  BOAKYE", "0244123456"), ("yaw boakye", "+233244123456")),
        (("Y a w   B o a k y e", "0244123456"), ("Yaw Boakye", "0244123456")),
        (("Yaw Boak\u0079\u0065\u0301", "0244123456"), ("YAW BOAKY\u00c9", "0244 123 456")),
    ],
)
def test_a_stranger_who_guesses_is_told_only_what_he_wrote(
    signed_in, branch, blood_count, ama, yaw, kofi, first, guessed
):
    """By no answer, list, search nor repeat; the record behind them is one."""
    rest = {"branch_id": branch.pk, "tests": [blood_count.pk]}
    ours, theirs = (
        signed_in(user).post(
            reverse("medics:create-referral"),
            {"patient_full_name_or_id": name, "patient_contact_number": number, **rest},
        )
        for user, (name, number) in ((ama, first), (yaw, guessed))
    )
    stranger = signed_in(yaw)
    again = stranger.post(
        reverse("medics:create-referral"),
        {"patient_full_name_or_id": guessed[0], "patient_contact_number": guessed[1], **rest},
    )
    assert again.content == theirs.content
    assert Patient.objects.count() == 1
    Referral.objects.filter(referred_by=yaw).update(status="Received")

    referral_id = theirs.json()["data"]["referral_id"]
    listed = reverse("medics:get-practitioner-referrals")
    one = reverse("medics:get-update-referral", args=[referral_id])
    for answer in (
        theirs,
        stranger.get(one),
        stranger.put(one, {"status": "Pending"}),
        stranger.get(listed),
        stranger.get(listed, {"search_query": guessed[0]}),
    ):
        data = answer.json()["data"]
        [row] = data.get("referrals", [data])
        assert row["patient_name_or_id"] == guessed[0]
    assert stranger.get(listed, {"search_query": first[0]}).json()["data"]["referrals"] == (
        [] if fold(first[0]) != fold(guessed[0]) else [row]
    )

    # Both are found where both were referred to, each by its author's words, whoever came first.
    at_branch = reverse("medics:get-technician-referrals")
    shown = {
        row["referral_id"]: row["patient_name_or_id"]
        for name in (first[0], guessed[0])
        for row in signed_in(kofi)
        .get(at_branch, {"search_query": name})
        .json()["data"]["referrals"]
    }
    assert shown == {
        ours.json()["data"]["referral_id"]: unicodedata.normalize("NFC", first[0]),
        referral_id: guessed[0],
    }


def test_a_patient_corrected_by_a_script_is_found_by_what_is_then_stored(refer, ama):
    patient = refer(ama, "Akosua Mensa", "0244123456").patient
    patient.full_name_or_id = "Akosua Mensah"
    patient.save(update_fields=["full_name_or_id"])
    patient.contact_number = "0244999999"
    patient.save(update_fields=["contact_number"])
    assert refer(ama, "Akosua Mensah", "0244999999").patient == patient
    assert refer(ama, "Akosua Mensa", "0244123456").patient != patient


def rename_by_update(patient, **particulars):
    Patient.objects.filter(pk=patient.pk).update(**particulars)


def rename_in_bulk(patient, **particulars):
    for name, value in particulars.items():
        setattr(patient, name, value)
    Patient.objects.bulk_update([patient], list(particulars))


@pytest.mark.parametrize("rename", [rename_by_update, rename_in_bulk])
def test_a_patient_corrected_past_save_is_found_by_what_is_then_stored(refer, ama, rename):
    kwesi = refer(ama, "Akosua Mensah", "0244123456").patient
    rename(kwesi, full_name_or_id="Kwesi Mensah")
    assert refer(ama, "Akosua Mensah", "0244123456").patient != kwesi
    assert refer(ama, "Kwesi Mensah", "0244123456").patient == kwesi

    moved = refer(ama, "Afia Badu", "0244123456").patient
    rename(moved, contact_number="0244999999")
    assert refer(ama, "Afia Badu", "0244123456").patient != moved
    assert refer(ama, "Afia Badu", "0244999999").patient == moved


def test_one_of_several_equal_patients_is_taken_the_oldest(refer, ama):
    namesakes = [
        PatientFactory(full_name_or_id="Akosua Mensah", contact_number="0244123456")
        for _ in range(3)
    ]
    ReferralFactory(patient=namesakes[1])
    assert refer(ama, "Akosua Mensah", "0244123456").patient == namesakes[0]
    assert Patient.objects.count() == 3


@pytest.mark.parametrize("name", ["ß" * 255, "ΐ" * 255, "Ɔ" * 255])
def test_a_name_may_grow_when_its_case_is_folded(refer, ama, name):
    patient = refer(ama, name, "0244123456").patient
    assert patient.full_name_or_id == name
    assert refer(ama, name, "0244123456").patient == patient


@pytest.mark.parametrize(
    ("first", "second", "are_one"),
    [
        ("Jan Straße", "JAN STRAẞE", True),
        ("Jan Straße", "Jan Strasse", False),
        ("Ad\u00e9\u1ecdl\u00e1", "Ade\u0301o\u0323la\u0301", True),
        ("İpek", "ipek", True),
        ("Ipek", "İPEK", True),
        ("Odysseus Σοφος", "odysseus ΣΟΦΟΣ", True),
        ("Odysseus Σοφός", "odysseus ΣΟΦΟΣ", False),
        ("Akosua\u00a0Mensah", "akosua\u2003 mensah", True),
        ("H\u0331ana", "h\u0331ana", True),
        ("\u212aofi", "KOFI", True),
        ("ﬁifi", "fiifi", False),
    ],
)
@pytest.mark.parametrize("number", ["0244123456", None])
def test_case_aside_is_one_rule_for_patients_and_repeats(
    refer, ama, yaw, branch, blood_count, signed_in, first, second, are_one, number
):
    """Where two names are two, neither the patient nor the referral of the other is answered."""
    assert (refer(yaw, first, number).patient == refer(yaw, second, number).patient) is (
        are_one and number is not None
    )
    client = signed_in(ama)
    rest = {"patient_contact_number": number, "branch_id": branch.pk, "tests": [blood_count.pk]}
    ids = [
        client.post(
            reverse("medics:create-referral"), {**rest, "patient_full_name_or_id": name}
        ).json()["data"]["referral_id"]
        for name in (first, second)
    ]
    assert (ids[0] == ids[1]) is are_one
