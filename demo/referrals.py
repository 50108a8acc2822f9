"""Referrals to a network's branches, as they would stand at one moment.

Each referral is given its whole course; what lies after that moment has not
happened yet, so the most recent ones are still under way.
"""

import string
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import NamedTuple

from demo.network import Network, Offer, OfferedTest
from demo.rows import PatientRow, ReferralRow, ReferralTestRow, StatusChangeRow
from medics.choices import TestStatus

DAYS = 90

CLINICAL_NOTES = (
    "Fever for three days, headache and joint pains. Rule out malaria.",
    "Antenatal booking visit, 14 weeks.",
    "Known hypertensive on treatment, yearly review.",
    "Type 2 diabetes, control not satisfactory.",
    "Easy fatigue and pallor, suspected anaemia.",
    "Lower abdominal pain with dysuria.",
    "Jaundice noticed last week, no alcohol.",
    "Before surgery: hernia repair.",
    "Weight loss and night sweats for two months.",
    "Known sickle cell disease, in crisis last month.",
    "Screening before employment.",
    "Recurrent epigastric pain.",
    "Swelling of both feet, reduced urine output.",
    "Secondary amenorrhoea for five months.",
    "Follow-up after treatment for typhoid fever.",
    "Painless breast lump, left, found by the patient.",
    "Chronic cough, sputum negative once before.",
    "Please call with the result.",
)


NEVER = timedelta(days=10_000)


class Step(NamedTuple):
    to: TestStatus
    at: datetime


class Course:
    """What became of a referral, or of a test within it, until one moment."""

    def __init__(self, begun_at: datetime, steps: list[Step], *, until: datetime):
        self.steps = [step for step in steps if step.at <= until]
        last = self.steps[-1] if self.steps else Step(TestStatus.PENDING, begun_at)
        self.status = last.to.value
        self.updated_at = last.at
        self.completed_at = last.at if last.to is TestStatus.COMPLETED else None


class Referred(NamedTuple):
    """A referral and what came with it; `patient` is None where a known one came again."""

    patient: PatientRow | None
    referral: ReferralRow
    tests: list[ReferralTestRow]
    changes: list[StatusChangeRow]


class Referrals:
    """`number` referrals over the last ninety days before `until`, the oldest first."""

    def __init__(self, network: Network, *, number: int, until: datetime):
        self.network = network
        self.random = network.random
        self.number = number
        self.until = until
        self._seen_before: defaultdict[uuid.UUID, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        return self.number

    def __iter__(self) -> Iterator[Referred]:
        for referred_at in sorted(self._referred_at() for _ in range(self.number)):
            yield self._referral(referred_at)

    def _referred_at(self) -> datetime:
        """In consulting hours (Ghana keeps UTC all year), and more of them as the network grows."""
        midnight = datetime.combine(self.until, time(), self.until.tzinfo)
        hour = self.random.triangular(7, 20, 11)
        at = midnight + timedelta(hours=hour, days=-int(DAYS * self.random.random() ** 1.6))
        return at if at < self.until else at - timedelta(days=1)

    def _referral(self, referred_at: datetime) -> Referred:
        # What is drawn does not depend on the time, so that another `until` moves a network's
        # times and leaves the rest of it alone.
        rng = self.random
        referral_id = self.network.unique(
            lambda: self.network.characters(10, string.ascii_uppercase + string.digits)
        )
        practitioner_id = rng.choice(self.network.practitioner_ids)
        patient_id, patient = self._patient(practitioner_id, referred_at)
        clinical_notes = rng.choice(CLINICAL_NOTES) if rng.random() < 0.6 else ""
        branch = rng.choice(self.network.branches)
        technician_id = rng.choice(self.network.staff_ids[branch.id])

        arrived_at = referred_at + self._hours(min(rng.lognormvariate(1.6, 1.1), 96), never=0.04)
        test_steps = {
            test.id: self._test_steps(test, arrived_at)
            for test in self._asked_for(self.network.offers[branch.facility_id])
        }
        results_at = max(steps[-1].at for steps in test_steps.values())
        steps = [
            Step(TestStatus.RECEIVED, arrived_at),
            Step(TestStatus.COMPLETED, results_at + self._hours(rng.uniform(0.05, 2), never=0.03)),
        ]
        if rng.random() < 0.05:  # the branch began without marking the referral
            del steps[0]

        course = Course(referred_at, steps, until=self.until)
        referral = ReferralRow(
            id=referral_id,
            facility_branch_id=branch.id,
            patient_id=patient_id,
            clinical_notes=clinical_notes,
            referred_by_id=practitioner_id,
            status=course.status,
            referred_at=referred_at,
            updated_at=course.updated_at,
            completed_at=course.completed_at,
        )
        courses: dict[int | None, Course] = {None: course}
        tests = []
        for test_id, steps in test_steps.items():
            course = Course(referred_at, steps, until=self.until)
            tests.append(
                ReferralTestRow(
                    id=self.network.next_id(ReferralTestRow),
                    referral_id=referral_id,
                    test_id=test_id,
                    status=course.status,
                    created_at=referred_at,
                    updated_at=course.updated_at,
                    completed_at=course.completed_at,
                )
            )
            courses[tests[-1].id] = course
        changes = self._changes(referral_id, courses, technician_id)
        return Referred(patient, referral, tests, changes)

    def _hours(self, hours: float, *, never: float) -> timedelta:
        """With the probability `never`, longer than the network lasts."""
        return NEVER if self.random.random() < never else timedelta(hours=hours)

    def _asked_for(self, offer: Offer) -> list[OfferedTest]:
        number = self.random.choice((1, 2, 2, 3, 3, 4, 5))
        drawn = self.random.choices(offer.tests, cum_weights=offer.cumulative_weights, k=number)
        return list(dict.fromkeys(drawn))

    def _test_steps(self, test: OfferedTest, arrived_at: datetime) -> list[Step]:
        wait_hours = self.random.uniform(0.02, 0.5)
        if self.random.random() < 0.05:  # a second specimen was needed
            wait_hours += self.random.uniform(4, 48)
        received_at = arrived_at + timedelta(hours=wait_hours)
        hours = test.turnaround_hours * self.random.lognormvariate(0, 0.4)
        return [
            Step(TestStatus.RECEIVED, received_at),
            Step(TestStatus.COMPLETED, received_at + timedelta(hours=hours)),
        ]

    def _changes(
        self, referral_id: str, courses: dict[int | None, Course], technician_id: uuid.UUID
    ) -> list[StatusChangeRow]:
        """All steps in the order of time; the course of the referral itself is under None."""
        moves = []
        for referral_test_id, course in courses.items():
            status = TestStatus.PENDING
            for step in course.steps:
                moves.append((step.at, referral_test_id, status, step.to))
                status = step.to
        moves.sort(key=lambda move: move[0])
        return [
            StatusChangeRow(
                id=self.network.next_id(StatusChangeRow),
                referral_id=referral_id,
                referral_test_id=referral_test_id,
                from_status=from_status.value,
                to_status=to_status.value,
                changed_by_id=technician_id,
                changed_at=at,
            )
            for at, referral_test_id, from_status, to_status in moves
        ]

    def _patient(
        self, practitioner_id: uuid.UUID, referred_at: datetime
    ) -> tuple[int, PatientRow | None]:
        """By the rules for patients: a name without a number is never the same patient again."""
        rng = self.random
        seen_before = self._seen_before[practitioner_id]
        if seen_before and rng.random() < 0.3:
            return rng.choice(seen_before), None

        by_identifier = rng.random() < 0.25
        name_or_id = self._identifier() if by_identifier else self.network.faker.name()
        contact_number = self.network.mobile_number() if rng.random() < 0.75 else ""
        patient = PatientRow(
            id=self.network.next_id(PatientRow),
            full_name_or_id=name_or_id,
            contact_number=contact_number,
            created_at=referred_at,
        )
        if by_identifier or contact_number:
            seen_before.append(patient.id)
        return patient.id, patient

    def _identifier(self) -> str:
        """A Ghana card's number, or that of a hospital's folder."""

        def make() -> str:
            digits = self.network.characters(10, string.digits)
            if self.random.random() < 0.5:
                return f"GHA-{digits[:9]}-{digits[9]}"
            return f"OPD/{digits[:7]}"

        return self.network.unique(make)
