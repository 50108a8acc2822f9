from drf_spectacular.utils import extend_schema
from rest_framework.response import Response
from rest_framework.views import APIView

from _tetradx.api.exceptions import BadRequest
from _tetradx.api.schema import leads_to, refuses
from _tetradx.http.client_address import client_address
from authentication.second_factor import prove_second_factor

from ..models import Facility, Test, TestType
from ..permissions import IsCatalogueEditor, administered_facility, edits_every_catalogue
from ..serializers.catalogue import AddedTestTypeSerializer, AddTestTypesForm
from ..serializers.facilities import NamedRowSerializer
from ..services.catalogue import add_test_type
from .public import PublicListView


class GetTestTypesView(PublicListView):
    """The types of tests that the facility offers, by name."""

    success_message = "Test types for facility retrieved successfully"

    @extend_schema(responses=NamedRowSerializer(many=True))
    @leads_to("medics_test_types_tests_list", test_type_id="data/0/id")
    @refuses("Facility with the given ID does not exist.")
    def get(self, request, facility_id):
        return self.list_by_name(request, facility_id=facility_id)

    def get_queryset(self, facility_id):
        if not Facility.objects.filter(id=facility_id).exists():
            raise BadRequest("Facility with the given ID does not exist.")
        return TestType.objects.filter(facility=facility_id)


class GetTestsView(PublicListView):
    """The tests of a type, by name."""

    success_message = "Tests for test type retrieved successfully"

    @extend_schema(responses=NamedRowSerializer(many=True))
    @refuses("Test type with the given ID does not exist.")
    def get(self, request, test_type_id):
        return self.list_by_name(request, test_type_id=test_type_id)

    def get_queryset(self, test_type_id):
        if not TestType.objects.filter(id=test_type_id).exists():
            raise BadRequest("Test type with the given ID does not exist.")
        return Test.objects.filter(test_type=test_type_id)


class AddTestTypesView(APIView):
    """Adds a type with its tests to the facility that the user administers, or nothing at all.

    Operators name the facilities, and show a code of their authenticator app where the admin site
    asks for one.
    """

    permission_classes = (IsCatalogueEditor,)
    wrong_role_message = "Unauthorized: Only Lab Technicians can add test types."
    success_message = "Test type and tests added successfully"

    @extend_schema(request=AddTestTypesForm, responses=AddedTestTypeSerializer)
    @refuses(
        {"name": ["A test type with this name already exists for this facility."]},
        {"tests": ["2: price: Ensure that there are no more than 2 decimal places."]},
        {"facility_ids": ["Facility with the given ID does not exist."]},
        {"otp": ["This code is wrong, or was used before. Wait for the next one."]},
        wrong_role_message,
        "Unauthorized: User is not associated with any facility.",
    )
    def post(self, request):
        form = AddTestTypesForm(
            data=request.data,
            context={
                "own_facility": administered_facility(request.user),
                "is_operator": edits_every_catalogue(request.user),
            },
        )
        form.is_valid(raise_exception=True)
        code, by_operator = form.validated_data.pop("otp"), form.validated_data.pop("by_operator")
        if by_operator:
            prove_second_factor(user=request.user, code=code, address=client_address(request.META))
        tests = add_test_type(**form.validated_data)
        answer = {"name": form.validated_data["name"], "tests": tests}
        return Response(AddedTestTypeSerializer(answer).data)
