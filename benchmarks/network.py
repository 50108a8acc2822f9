"""The people and places of the benchmark. The same for every size; nothing here touches a database.

Half of what is measured hangs on who owns how much, so that is said here, once.
"""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.contrib.auth.hashers import make_password

from authentication.models import UserType
from demo.rows import (
    BranchRow,
    BranchTechnicianRow,
    FacilityRow,
    PatientRow,
    TestRow,
    TestTypeRow,
    UserRow,
)

PASSWORD = "Passw0rd!x"
SEED = 20_260_101

FACILITIES = 20
BRANCHES = FACILITIES * 5
TYPES = (
    "BLOOD BANK",
    "CHEMISTRY",
    "COAGULATION",
    "CYTOLOGY",
    "ENDOCRINOLOGY",
    "HAEMATOLOGY",
    "MICROBIOLOGY",
    "PARASITOLOGY",
    "SEROLOGY",
    "URINALYSIS",
)
TESTS_PER_TYPE = 12
TESTS_PER_FACILITY = len(TYPES) * TESTS_PER_TYPE

PRACTITIONERS = [f"020{n:07}" for n in range(1, 501)]
TECHNICIANS = [f"030{n:07}" for n in range(1, 201)]

PRACTITIONER_OF_2_000, PRACTITIONER_OF_20_000, PRACTITIONER_OF_100 = PRACTITIONERS[:3]
TECHNICIAN_OF_50_000, TECHNICIAN_OF_A_THIRD, TECHNICIAN_OF_FIVE_BRANCHES, ADMINISTRATOR = (
    TECHNICIANS[:4]
)
# The first facility has the branch with a third of all referrals, and is also the one with the
# technician of five branches and the administrator: the hard case for both.
BRANCH_OF_A_THIRD = 1
BRANCH_OF_50_000 = 6

# The first referral and the last one.
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)

# What is searched for must be found where it is meant alone: no other name in the benchmark
# contains `quansah`, `nana`, `panel` or `kw`.
FIRST_NAMES = (
    "Abena Adjoa Afua Akosua Akua Ama Araba Efua Ekua Esi Yaa Kofi Kojo Kobina Yaw Yao Fiifi Ebo "
    "Paa Ato Agyei Osei Selorm Edem Elikem Kwabena Kwadwo Kwaku Kwame Kwasi Kwesi"
)
MIDDLE_NAMES = (
    "Adwoba Afriyie Agyapong Akyaa Boakye Dede Dufie Frimpomaa Konadu Korkor Maame Naa Nhyira "
    "Oforiwaa Pomaa Sarpomaa Serwaa Tawiah Tiwaa Yeboah"
)
SURNAMES = (
    "Acheampong Addo Adjei Amoah Ampofo Ansah Antwi Appiah Arthur Asamoah Asante Asare Baidoo "
    "Boateng Bonsu Darko Donkor Essien Frimpong Gyasi Lamptey Mensah Nkrumah Nyarko Ofori Opoku "
    "Osei Owusu Quaye Quartey Sackey Sarpong Tetteh"
)


def user_id(phone_number: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"tel:{phone_number}")


def users() -> list[UserRow]:
    # Hashing is slow by design, so the one password is hashed once.
    password = make_password(PASSWORD)
    roles = [("Doctor", UserType.MEDICAL_PRACTITIONER, PRACTITIONERS)]
    roles += [("Technician", UserType.LAB_TECHNICIAN, TECHNICIANS)]
    return [
        UserRow(
            id=user_id(phone_number),
            password=password,
            full_name=f"{title} {number}",
            phone_number=phone_number,
            user_type=user_type.value,
            is_active=True,
            is_staff=False,
            is_superuser=False,
            must_change_password=False,
            date_joined=SINCE,
            created_at=SINCE,
            updated_at=SINCE,
        )
        for title, user_type, phone_numbers in roles
        for number, phone_number in enumerate(phone_numbers, start=1)
    ]


def facilities() -> list[FacilityRow]:
    administrators = TECHNICIANS[TECHNICIANS.index(ADMINISTRATOR) :]
    return [
        FacilityRow(n, f"Laboratory {n}", "", user_id(administrators[n - 1]), SINCE)
        for n in range(1, FACILITIES + 1)
    ]


def facility_of(branch: int) -> int:
    return 1 + (branch - 1) * FACILITIES // BRANCHES


def branches() -> list[BranchRow]:
    return [
        BranchRow(n, facility_of(n), f"Branch {n}", True, SINCE) for n in range(1, BRANCHES + 1)
    ]


def assignments() -> list[BranchTechnicianRow]:
    first_facility = [n for n in range(1, BRANCHES + 1) if facility_of(n) == 1]
    ordinary = [n for n in range(1, BRANCHES + 1) if n != BRANCH_OF_50_000]
    # After those with a role of their own, of whom one administers each facility.
    others = TECHNICIANS[TECHNICIANS.index(ADMINISTRATOR) + FACILITIES :]
    places = [
        (TECHNICIAN_OF_50_000, BRANCH_OF_50_000),
        (TECHNICIAN_OF_A_THIRD, BRANCH_OF_A_THIRD),
        *((TECHNICIAN_OF_FIVE_BRANCHES, branch) for branch in first_facility),
        *((other, ordinary[n % len(ordinary)]) for n, other in enumerate(others)),
    ]
    return [
        BranchTechnicianRow(n, user_id(technician), branch, False, SINCE)
        for n, (technician, branch) in enumerate(places, start=1)
    ]


def test_types() -> list[TestTypeRow]:
    return [
        TestTypeRow(facility * len(TYPES) + n, facility + 1, name, "", SINCE)
        for facility in range(FACILITIES)
        for n, name in enumerate(TYPES, start=1)
    ]


def tests() -> list[TestRow]:
    """Those of a facility stand together, in the order of its types; one in six is a panel."""
    return [
        TestRow(
            id=(test_type.id - 1) * TESTS_PER_TYPE + n + 1,
            test_type_id=test_type.id,
            name=f"{test_type.name} {'PANEL' if n % 6 == 0 else 'TEST'} {n + 1}",
            description="",
            price=Decimal(25),
            created_at=SINCE,
        )
        for test_type in test_types()
        for n in range(TESTS_PER_TYPE)
    ]


def patients(number: int) -> Iterator[PatientRow]:
    """One in a hundred is a Quansah, a third are called Nana; seven in ten left a number."""
    chance = random.Random(SEED)
    first_names, middle_names = FIRST_NAMES.split(), MIDDLE_NAMES.split()
    surnames = SURNAMES.split()
    for n in range(1, number + 1):
        middle_name = "Nana" if chance.random() < 1 / 3 else chance.choice(middle_names)
        surname = "Quansah" if chance.random() < 1 / 100 else chance.choice(surnames)
        yield PatientRow(
            id=n,
            full_name_or_id=f"{chance.choice(first_names)} {middle_name} {surname}",
            contact_number=f"024{n:07}" if chance.random() < 0.7 else "",
            created_at=SINCE + (UNTIL - SINCE) / 2 * chance.random() - timedelta(days=1),
        )
