from decimal import Decimal

import factory
from factory.django import DjangoModelFactory

from authentication.models import User, UserType
from medics.models import (
    BranchTechnician,
    Facility,
    FacilityBranch,
    Patient,
    Referral,
    ReferralTest,
    Test,
    TestType,
)

PASSWORD = "Passw0rd!x"


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    full_name = factory.Sequence(lambda n: f"Person {n}")
    phone_number = factory.Sequence(lambda n: f"0241{n:06}")

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        return model_class.objects.create_user(**{"password": PASSWORD, **kwargs})


class PractitionerFactory(UserFactory):
    user_type = UserType.MEDICAL_PRACTITIONER


class TechnicianFactory(UserFactory):
    """`branches=[…]` assigns the technician to them."""

    class Meta:
        skip_postgeneration_save = True

    user_type = UserType.LAB_TECHNICIAN

    @factory.post_generation
    def branches(self, create, extracted):
        for branch in extracted or ():
            BranchTechnicianFactory(user=self, branch=branch)


class FacilityFactory(DjangoModelFactory):
    class Meta:
        model = Facility

    name = factory.Sequence(lambda n: f"Laboratory {n}")


class FacilityBranchFactory(DjangoModelFactory):
    class Meta:
        model = FacilityBranch

    facility = factory.SubFactory(FacilityFactory)
    name = factory.Sequence(lambda n: f"Branch {n}")


class BranchTechnicianFactory(DjangoModelFactory):
    class Meta:
        model = BranchTechnician

    user = factory.SubFactory(TechnicianFactory)
    branch = factory.SubFactory(FacilityBranchFactory)


class TestTypeFactory(DjangoModelFactory):
    __test__ = False

    class Meta:
        model = TestType

    facility = factory.SubFactory(FacilityFactory)
    name = factory.Sequence(lambda n: f"TYPE {n}")


class TestFactory(DjangoModelFactory):
    __test__ = False

    class Meta:
        model = Test

    test_type = factory.SubFactory(TestTypeFactory)
    name = factory.Sequence(lambda n: f"TEST {n}")
    price = Decimal("25.00")


class PatientFactory(DjangoModelFactory):
    class Meta:
        model = Patient

    full_name_or_id = factory.Sequence(lambda n: f"Patient {n}")


class ReferralFactory(DjangoModelFactory):
    """`tests=[…]` are tests of the catalogue; without it one is made."""

    class Meta:
        model = Referral
        skip_postgeneration_save = True

    facility_branch = factory.SubFactory(FacilityBranchFactory)
    patient = factory.SubFactory(PatientFactory)
    referred_by = factory.SubFactory(PractitionerFactory)

    @factory.post_generation
    def tests(self, create, extracted):
        facility = self.facility_branch.facility
        tests = [TestFactory(test_type__facility=facility)] if extracted is None else extracted
        for test in tests:
            ReferralTest.objects.create(
                referral=self,
                test=test,
                status=self.status,
                completed_at=self.completed_at,
            )
