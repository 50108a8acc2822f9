from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from _tetradx.exceptions import BadRequest

from ..models import Facility, FacilityBranch
from ..permissions import IsFacilityAdmin, administered_facility
from ..serializers.facilities import AddBranchForm, AddedBranchSerializer, NamedRowSerializer
from ..services.facilities import add_branch, deactivate_branch
from .public import PublicListView


class GetFacilitiesView(PublicListView):
    success_message = "Facilities retrieved successfully"

    @extend_schema(responses=NamedRowSerializer(many=True))
    def get(self, request):
        return self.list_by_name(Facility.objects.all())


class GetBranchesView(PublicListView):
    """The active branches; of an unknown facility, none."""

    success_message = "Branches retrieved successfully"

    @extend_schema(responses=NamedRowSerializer(many=True))
    def get(self, request, facility_id):
        return self.list_by_name(FacilityBranch.objects.active().filter(facility=facility_id))


class AddBranchView(APIView):
    permission_classes = IsFacilityAdmin
    wrong_role_message = "Unauthorized: Only facility admins can add branches."
    success_message = "Facility branch added successfully"

    @extend_schema(request=AddBranchForm, responses={201: AddedBranchSerializer})
    def post(self, request):
        form = AddBranchForm(data=request.data)
        form.is_valid(raise_exception=True)
        branch = add_branch(facility=administered_facility(request.user), **form.validated_data)
        return Response(AddedBranchSerializer(branch).data, status=status.HTTP_201_CREATED)


class DeactivateBranchView(APIView):
    permission_classes = IsFacilityAdmin
    wrong_role_message = "Unauthorized: Only facility admins can delete branches."
    success_message = "Facility branch deleted successfully"

    @extend_schema(responses=OpenApiResponse())
    def delete(self, request, branch_id):
        branch = administered_facility(request.user).branches.filter(id=branch_id).first()
        if branch is None:
            raise BadRequest("Facility branch with the given ID does not exist.")
        deactivate_branch(branch=branch)
        return Response()
