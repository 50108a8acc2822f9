from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from _tetradx.api.schema import refuses

from ..permissions import IsFacilityAdmin
from ..serializers.technicians import AddedTechnicianSerializer, AddLabTechnicianForm
from ..services.technicians import add_lab_technician


class AddLabTechnicianView(APIView):
    """Adds a technician to a branch of the facility that the user administers.

    The technician must change the password at the first login.
    """

    permission_classes = (IsFacilityAdmin,)
    wrong_role_message = "Unauthorized: Only facility admins can add Lab Technicians."
    success_message = "Lab technician added successfully"

    @extend_schema(request=AddLabTechnicianForm, responses={201: AddedTechnicianSerializer})
    @refuses(
        {"branch_id": ["Branch with the given ID does not exist."]},
        {"phone_number": ["A user with this phone number already exists."]},
        {"password": ["This password is too common."]},
        wrong_role_message,
    )
    @refuses("Technicians of one account: 100 an hour at most.", code=429)
    def post(self, request):
        facility = request.user.administered_facility
        form = AddLabTechnicianForm(data=request.data, context={"facility": facility})
        form.is_valid(raise_exception=True)
        technician = add_lab_technician(by=request.user, **form.validated_data)
        answer = AddedTechnicianSerializer(
            technician, context={"branch": form.validated_data["branch"]}
        )
        return Response(answer.data, status=status.HTTP_201_CREATED)
