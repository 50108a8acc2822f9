from functools import partial

import orjson
from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.response import Response
from rest_framework.views import APIView

from _tetradx.api.exceptions import BadRequest
from _tetradx.api.schema import leads_to, refuses

from ..idempotency.body_digest import digest_of_referral
from ..idempotency.key import IDEMPOTENCY_KEY
from ..idempotency.stored_answer import idempotent
from ..models import ReferralTest
from ..pagination import Ordering, paginate
from ..permissions import IsPractitioner, IsTechnician
from ..read_audit import log_reading
from ..referral_queries.one_referral import created_referral_json, one_referral
from ..referral_queries.referral_list import ReferralList
from ..referral_queries.scopes import branch_scope, own_scope
from ..serializers.referrals import (
    CreatedReferralSerializer,
    CreateReferralForm,
    PractitionerReferralsSerializer,
    ReferralDetailSerializer,
    ReferralListForm,
    ReferralStatusForm,
    TechnicianReferralListForm,
    TechnicianReferralsSerializer,
    UpdatedTestSerializer,
)
from ..services.limits import limits_of_referrals
from ..services.referrals import create_referral, set_referral_status, set_test_status

TOO_MANY_CHANGES = "Changes of status of one referral: 60 an hour at most."


class CreateReferralView(APIView):
    """Refers a patient to a branch for one or several tests, all or nothing.

    A body that says what one of the same practitioner said less than two minutes ago is answered
    with the referral of that one.
    """

    permission_classes = (IsPractitioner,)
    wrong_role_message = "Only medical practitioners can create referrals."
    success_message = "Referral created successfully"

    @extend_schema(
        request=CreateReferralForm,
        responses={201: CreatedReferralSerializer},
        parameters=[IDEMPOTENCY_KEY],
    )
    @leads_to("medics_referral_retrieve", referral_id="data/referral_id")
    @leads_to("medics_referral_update", referral_id="data/referral_id")
    @leads_to("medics_referral_tests_status_update", referral_test_id="data/tests/0/test_id")
    @refuses(
        {"test_id": ["Test with the given ID does not exist."]},
        {"branch_id": ["Branch with the given ID does not exist."]},
        {"Idempotency-Key": ["This key was used with another request before."]},
        wrong_role_message,
    )
    @refuses("Referrals of one account: 300 an hour at most.", code=429)
    def post(self, request):
        form = CreateReferralForm(data=request.data)
        form.is_valid(raise_exception=True)
        practitioner, fields = request.user, form.validated_data
        with idempotent(request, digest=digest_of_referral(**fields)) as stored:
            if stored.is_empty:
                limits = limits_of_referrals(practitioner)
                referral = create_referral(practitioner=practitioner, limits=limits, **fields)
                stored.store(body=created_referral_json(referral), referral_id=referral.pk)
        log_reading(request, referrals=[stored.referral_id])
        return Response(
            orjson.Fragment(stored.body),
            status=status.HTTP_201_CREATED,
            headers={"Idempotent-Replayed": "true"} if stored.is_replayed else None,
        )


class GetAndUpdateReferralView(APIView):
    """For its practitioner, the staff of its branch and its facility's administrator.

    Pending goes to and from Received; either goes to Completed, which is final, once all tests
    are completed. A referral that an operator has cancelled takes no other status.
    """

    success_message = {
        "GET": "Referral retrieved successfully",
        "PUT": "Referral status updated successfully",
    }

    @extend_schema(responses=ReferralDetailSerializer)
    @leads_to("medics_referral_update", referral_id="data/referral_id")
    @leads_to("medics_referral_tests_status_update", referral_test_id="data/tests/0/test_id")
    @refuses("Referral does not exist.")
    def get(self, request, referral_id):
        referral = one_referral(referral_id=referral_id, user=request.user)
        log_reading(request, referrals=[referral_id])
        return Response(referral)

    @extend_schema(request=ReferralStatusForm, responses=ReferralDetailSerializer)
    @refuses(
        "Referral does not exist.",
        {"status": ["These tests are not completed yet: FULL BLOOD COUNT, SICKLING."]},
    )
    @refuses(TOO_MANY_CHANGES, code=429)
    def put(self, request, referral_id):
        one_referral(referral_id=referral_id, user=request.user)
        form = ReferralStatusForm(data=request.data)
        form.is_valid(raise_exception=True)
        # In one transaction, so that the answer shows this change and not the next one.
        with transaction.atomic():
            set_referral_status(referral_id=referral_id, **form.validated_data)
            referral = one_referral(referral_id=referral_id, user=request.user)
        log_reading(request, referrals=[referral_id])
        return Response(referral)


class UpdateTestStatusView(APIView):
    """Any status to any other, until the test's referral is completed or cancelled."""

    success_message = "Test status updated successfully"

    @extend_schema(request=ReferralStatusForm, responses=UpdatedTestSerializer)
    @leads_to("medics_referral_update", referral_id="data/referral_id")
    @refuses(
        "Referral test with the given ID does not exist.",
        "You do not have permission to update this test status.",
        "Invalid status value.",
        {"status": ["The test is Completed already."]},
    )
    @refuses(TOO_MANY_CHANGES, code=429)
    def put(self, request, referral_test_id):
        test = self.get_test(referral_test_id)
        form = ReferralStatusForm(data=request.data)
        if not form.is_valid():
            raise BadRequest("Invalid status value.")
        test = set_test_status(test=test, **form.validated_data)
        log_reading(request, referrals=[test.referral_id])
        return Response(UpdatedTestSerializer(test).data)

    def get_test(self, referral_test_id) -> ReferralTest:
        """Return the test.

        Raises BadRequest, which says whether the test is unknown or the user has no part in it.
        """
        tests = ReferralTest.objects.filter(id=referral_test_id)
        test = tests.visible_to(self.request.user).first()
        if test is None:
            if tests.exists():
                raise BadRequest("You do not have permission to update this test status.")
            raise BadRequest("Referral test with the given ID does not exist.")
        return test


class ReferralListView(APIView):
    """A page of referrals, with the totals of what search and filters leave.

    At most 4 queries whatever the number of rows: the user with the session, for a search what its
    text occurs in, the totals, the page with its tests.
    """

    success_message = "Referrals retrieved successfully"
    wrong_role_message = "You do not have permission to view these referrals."

    # The form is built once, since building it costs as much as the totals. It keeps no state.
    form: ReferralListForm

    def list_referrals(self, referrals: ReferralList) -> Response:
        query = self.form.run_validation(self.request.query_params.dict())
        referrals.filter(
            status=query.get("status"),
            branch_id=query.get("branch_id"),
            referred_from=query.get("referred_from"),
            referred_to=query.get("referred_to"),
        )
        if query.get("search_query"):
            referrals.search(query["search_query"])
        ordering = Ordering(
            name="doctor" if query.get("sort_by") in {"doctor", "name"} else "time",
            descending=query.get("sort_type") != "asc",
        )
        totals, total_is_capped = referrals.totals(ordering)
        page, pagination = paginate(
            partial(referrals.rows, ordering),
            ordering=ordering,
            total=totals["total_referrals"],
            total_is_capped=total_is_capped,
            page_number=query["page_number"],
            page_size=query["page_size"],
            cursor=query.get("cursor"),
            unsettled=referrals.unsettled,
        )
        log_reading(self.request, referrals=[row["referral_id"] for row in page])
        return Response({"referrals": page, "data_summary": totals, "pagination": pagination})


class GetPractitionerReferralsView(ReferralListView):
    """The practitioner's own referrals, newest first."""

    permission_classes = (IsPractitioner,)
    form = ReferralListForm()

    @extend_schema(parameters=[ReferralListForm], responses=PractitionerReferralsSerializer)
    @leads_to("medics_referral_retrieve", referral_id="data/referrals/0/referral_id")
    @refuses({"cursor": ["Not a cursor of this list."]}, ReferralListView.wrong_role_message)
    def get(self, request):
        return self.list_referrals(ReferralList(own_scope(), request.user))


class GetTechnicianReferralsView(ReferralListView):
    """Referrals to the technician's branches; a facility administrator's, to all of them."""

    permission_classes = (IsTechnician,)
    form = TechnicianReferralListForm()

    @extend_schema(parameters=[TechnicianReferralListForm], responses=TechnicianReferralsSerializer)
    @leads_to("medics_referral_retrieve", referral_id="data/referrals/0/referral_id")
    @refuses({"cursor": ["Not a cursor of this list."]}, ReferralListView.wrong_role_message)
    def get(self, request):
        return self.list_referrals(ReferralList(branch_scope(), request.user))
