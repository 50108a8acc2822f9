from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from _tetradx.api.exceptions import BadRequest
from _tetradx.api.schema import leads_to, refuses

from ..models import Facility, FacilityBranch
from ..permissions import IsFacilityAdmin
from ..serializers.facilities import AddBranchForm, AddedBranchSerializer, NamedRowSerializer
from ..services.facilities import add_branch, deactivate_branch
from .public import PublicListView


class GetFacilitiesView(PublicListView):
    """All facilities, by name."""

    success_message = "Facilities retrieved successfully"

    @extend_schema(responses=NamedRowSerializer(many=True))
    @leads_to("medics_facilities_branches_list", facility_id="data/0/id")
    @leads_to("medics_facilities_test_types_list", facility_id="data/0/id")
    def get(self, request):
        return self.list_by_name(request)

    def get_queryset(self):
        return Facility.objects.all()


class GetBranchesView(PublicListView):
    """The facility's active branches, by name; of an unknown facility, none."""

    success_message = "Branches retrieved successfully"

    @extend_schema(responses=NamedRowSerializer(many=True))
    def get(self, request, facility_id):
        return self.list_by_name(request, facility_id=facility_id)

    def get_queryset(self, facility_id):
        return FacilityBranch.objects.active().filter(facility=facility_id)


class AddBranchView(APIView):
    """Adds a branch to the facility that the user administers."""

    permission_classes = (IsFacilityAdmin,)
    wrong_role_message = "Unauthorized: Only facility admins can add branches."
    success_message = "Facility branch added successfully"

    @extend_schema(request=AddBranchForm, responses={201: AddedBranchSerializer})
    @leads_to("medics_branches_deactivate_destroy", branch_id="data/id")
    @leads_to("medics_lab_technicians_add_create", body={"branch_id": "data/id"})
    @refuses(
        {"name": ["A branch with this name already exists in this facility."]},
        wrong_role_message,
    )
    def post(self, request):
        form = AddBranchForm(data=request.data)
        form.is_valid(raise_exception=True)
        branch = add_branch(facility=request.user.administered_facility, **form.validated_data)
        return Response(AddedBranchSerializer(branch).data, status=status.HTTP_201_CREATED)


class DeactivateBranchView(APIView):
    """Closes a branch to new referrals; those that it has are kept."""

    permission_classes = (IsFacilityAdmin,)
    wrong_role_message = "Unauthorized: Only facility admins can delete branches."
    success_message = "Facility branch deleted successfully"

    @extend_schema(responses={200: OpenApiResponse()})
    @refuses("Facility branch with the given ID does not exist.", wrong_role_message)
    def delete(self, request, branch_id):
        branch = request.user.administered_facility.branches.filter(id=branch_id).first()
        if branch is None:
            raise BadRequest("Facility branch with the given ID does not exist.")
        deactivate_branch(branch=branch)
        return Response()
