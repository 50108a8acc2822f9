"""A network of invented laboratories in Ghana: the places, the people, and what is offered where.

Nothing here touches the database, and the same seed and time always make the same rows.
"""

import random
import string
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import accumulate, count, groupby
from typing import NamedTuple

from django.contrib.auth.hashers import make_password
from faker import Faker

from authentication.models import UserType
from demo.catalogue import CatalogueTest, read_catalogue
from demo.logins import ADMINISTRATOR, LOGINS, OPERATOR, PASSWORD, PRACTITIONER, TECHNICIAN, Login
from demo.rows import (
    BranchRow,
    BranchTechnicianRow,
    FacilityRow,
    TestRow,
    TestTypeRow,
    UserRow,
)

FACILITIES = (
    (
        "Adinkra Diagnostics",
        "0302551204",
        ("Osu, Accra", "Madina, Accra", "Adum, Kumasi", "Anaji, Takoradi"),
    ),
    (
        "Baobab Medical Laboratory",
        "0372027316",
        ("Sakasaka, Tamale", "Central Market, Bolgatanga"),
    ),
    (
        "Kente Clinical Laboratories",
        "0322049581",
        ("Asokwa, Kumasi", "Bantama, Kumasi", "Fiapre, Sunyani"),
    ),
    (
        "Nkyinkyim Pathology Services",
        "0332134870",
        ("Abura, Cape Coast", "Market Circle, Takoradi", "Community One, Tema"),
    ),
    (
        "Volta Crest Laboratory",
        "0362025947",
        ("Bankoe, Ho", "Border Road, Aflao", "East Legon, Accra"),
    ),
)
PRACTITIONERS = 20
MOBILE_PREFIXES = ("020", "024", "026", "027", "050", "053", "054", "055", "057")


class Demand(NamedTuple):
    share: int
    turnaround_hours: float  # cultures grow for days, slides go to a pathologist


DEMAND = {
    "HAEMATOLOGY": Demand(20, 2),
    "COAGULATION": Demand(2, 3),
    "BLOOD BANK": Demand(4, 2),
    "LIVER FUNCTION": Demand(8, 6),
    "RENAL FUNCTION": Demand(9, 6),
    "LIPID PROFILE": Demand(6, 6),
    "CLINICAL CHEMISTRY": Demand(12, 4),
    "ENDOCRINOLOGY": Demand(4, 24),
    "SEROLOGY AND IMMUNOLOGY": Demand(10, 4),
    "PARASITOLOGY": Demand(16, 1.5),
    "MICROBIOLOGY": Demand(5, 72),
    "URINALYSIS": Demand(10, 1.5),
    "TUMOUR MARKERS": Demand(2, 30),
    "MOLECULAR DIAGNOSTICS": Demand(1, 60),
    "CYTOLOGY AND HISTOLOGY": Demand(2, 120),
}


class OfferedTest(NamedTuple):
    id: int
    turnaround_hours: float


class Offer(NamedTuple):
    """What a facility offers; how often a test is asked for goes by the cumulative weights."""

    tests: list[OfferedTest]
    cumulative_weights: list[float]


class Network:
    """Users, facilities, branches, their staff and catalogues as rows, all made `opened_at`."""

    def __init__(self, *, seed: int, opened_at: datetime):
        self.random = random.Random(seed)
        self.faker = Faker("tw_GH")
        self.faker.seed_instance(seed)
        self.opened_at = opened_at

        self.users: list[UserRow] = []
        self.facilities: list[FacilityRow] = []
        self.branches: list[BranchRow] = []
        self.branch_technicians: list[BranchTechnicianRow] = []
        self.test_types: list[TestTypeRow] = []
        self.tests: list[TestRow] = []
        self.practitioner_ids: list[uuid.UUID] = []
        self.staff_ids: defaultdict[int, list[uuid.UUID]] = defaultdict(list)  # by branch
        self.offers: dict[int, Offer] = {}  # by facility

        self._taken: set[str] = {"", *(login.phone_number for login in LOGINS)}
        self._ids: defaultdict[type, Iterator[int]] = defaultdict(lambda: count(1))
        # Hashing is slow by design, so the one password is hashed once; the salt is as long as
        # Django's own, or each first login would hash again.
        self._password = make_password(PASSWORD, salt=self.characters(22, string.ascii_letters))

        self._add_user(OPERATOR, is_staff=True, is_superuser=True)
        catalogue = read_catalogue()
        for name, contact_number, branches in FACILITIES:
            self._add_facility(name, contact_number, branches, catalogue)
        for number in range(PRACTITIONERS):
            self.practitioner_ids.append(self._add_user(PRACTITIONER if number == 0 else None))

    def next_id(self, row_type: type) -> int:
        return next(self._ids[row_type])

    def characters(self, number: int, alphabet: str) -> str:
        return "".join(self.random.choices(alphabet, k=number))

    def unique(self, make: Callable[[], str]) -> str:
        """The first of `make`'s results that this network does not hold yet."""
        made = ""
        while made in self._taken:
            made = make()
        self._taken.add(made)
        return made

    def mobile_number(self) -> str:
        return self.unique(
            lambda: self.random.choice(MOBILE_PREFIXES) + self.characters(7, string.digits)
        )

    def _add_facility(
        self,
        name: str,
        contact_number: str,
        branches: tuple[str, ...],
        catalogue: list[CatalogueTest],
    ) -> None:
        first = not self.facilities
        admin_id = self._add_user(ADMINISTRATOR if first else None, UserType.LAB_TECHNICIAN)
        facility_id = self.next_id(FacilityRow)
        self.facilities.append(
            FacilityRow(facility_id, name, contact_number, admin_id, self.opened_at)
        )
        for number, branch in enumerate(branches):
            branch_id = self.next_id(BranchRow)
            self.branches.append(BranchRow(branch_id, facility_id, branch, True, self.opened_at))
            if number == 0:
                self._assign(admin_id, branch_id, is_admin=True)
            for place in range(self.random.randint(2, 3)):
                login = TECHNICIAN if first and number == place == 0 else None
                self._assign(self._add_user(login, UserType.LAB_TECHNICIAN), branch_id)
        self._add_offer(facility_id, catalogue if first else self._part_of(catalogue))

    def _add_user(
        self,
        login: Login | None = None,
        user_type: UserType = UserType.MEDICAL_PRACTITIONER,
        *,
        is_staff: bool = False,
        is_superuser: bool = False,
    ) -> uuid.UUID:
        user_id = uuid.UUID(int=self.random.getrandbits(128), version=4)
        phone_number = login.phone_number if login else self.mobile_number()
        self.users.append(
            UserRow(
                id=user_id,
                password=self._password,
                full_name=login.full_name if login else self.faker.name(),
                phone_number=phone_number,
                user_type=user_type.value,
                is_active=True,
                is_staff=is_staff,
                is_superuser=is_superuser,
                must_change_password=False,
                date_joined=self.opened_at,
                created_at=self.opened_at,
                updated_at=self.opened_at,
            )
        )
        return user_id

    def _assign(self, user_id: uuid.UUID, branch_id: int, *, is_admin: bool = False) -> None:
        self.staff_ids[branch_id].append(user_id)
        self.branch_technicians.append(
            BranchTechnicianRow(
                self.next_id(BranchTechnicianRow), user_id, branch_id, is_admin, self.opened_at
            )
        )

    def _part_of(self, catalogue: list[CatalogueTest]) -> list[CatalogueTest]:
        """Ten types or more, and of each the first test and most others."""
        first_of_type = {test.test_type: test for test in reversed(catalogue)}
        number = self.random.randint(10, len(first_of_type) - 1)
        types = self.random.sample(list(first_of_type), number)
        return [
            test
            for test in catalogue
            if test.test_type in types
            and (test is first_of_type[test.test_type] or self.random.random() < 0.8)
        ]

    def _add_offer(self, facility_id: int, catalogue: list[CatalogueTest]) -> None:
        offered: list[OfferedTest] = []
        weights: list[float] = []
        for test_type, tests in groupby(catalogue, key=lambda test: test.test_type):
            type_id = self.next_id(TestTypeRow)
            self.test_types.append(TestTypeRow(type_id, facility_id, test_type, "", self.opened_at))
            share, turnaround_hours = DEMAND[test_type]
            for rank, test in enumerate(tests, start=1):
                test_id = self.next_id(TestRow)
                description = f"LOINC {test.loinc}" if test.loinc else ""
                price = Decimal(round(int(test.price) * self.random.uniform(0.85, 1.2)))
                self.tests.append(
                    TestRow(test_id, type_id, test.name, description, price, self.opened_at)
                )
                offered.append(OfferedTest(test_id, turnaround_hours))
                # The catalogue names the usual tests of a type first.
                weights.append(share / rank)
        self.offers[facility_id] = Offer(offered, list(accumulate(weights)))
