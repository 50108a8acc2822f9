"""An operator cancels what one account referred in a period."""

from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from authentication.models import User
from medics.models import Referral, StatusChange
from tests.factories import ReferralFactory, UserFactory
from tests.support.admin_pages import messages_on

PENDING, RECEIVED, COMPLETED, CANCELLED = "Pending", "Received", "Completed", "Cancelled"


def url_for(user) -> str:
    return reverse("admin:medics_referral_cancel", query={"practitioner": user.pk})


def moment(name, ago=timedelta(0)):
    at = timezone.now() - ago
    return {f"{name}_0": f"{at:%Y-%m-%d}", f"{name}_1": f"{at:%H:%M:%S}"}


def filled_in(**changes):
    last_hour = moment("first_moment", timedelta(hours=1)) | moment("last_moment")
    return last_hour | {"reason": "ordered_in_error", "note": ""} | changes


def confirmed(client, user, sent) -> dict:
    """What a browser posts after it has shown how many there are."""
    shown = client.post(url_for(user), sent).context["shown"]
    return sent | {"shown": shown, "confirmed": "yes"}


@pytest.fixture
def made(ama, branch):
    """Ama's: two that are open, one completed, one of yesterday; and somebody else's."""
    of_ama = {"referred_by": ama, "facility_branch": branch}
    ReferralFactory(facility_branch=branch)
    return [
        *(ReferralFactory(**of_ama, status=status) for status in (PENDING, RECEIVED, COMPLETED)),
        ReferralFactory(**of_ama, referred_at=timezone.now() - timedelta(days=1)),
    ]


def test_the_account_s_page_leads_there(superuser, ama):
    page = superuser.get(reverse("admin:authentication_user_change", args=[ama.pk]))

    assert url_for(ama) in unescape(page.content.decode())
    form = superuser.get(url_for(ama)).context["form"]
    assert form["first_moment"].value() == form["last_moment"].value() - timedelta(days=1)


def test_first_it_says_how_many_and_changes_nothing(superuser, ama, made):
    page = superuser.post(url_for(ama), filled_in())

    assert page.context["counts"] == [
        (PENDING, 1),
        (RECEIVED, 1),
        (COMPLETED, 1),
        (CANCELLED, 0),
    ]
    assert 'value="Cancel 2 referrals"' in page.content.decode()
    listed = superuser.get(page.context["list_of_them"]).context["cl"]
    assert set(listed.queryset) == set(made[:3])
    assert not StatusChange.objects.exists()


def test_then_it_cancels_them_in_the_operator_s_name(root, superuser, ama, made):
    sent = confirmed(superuser, ama, filled_in(reason="other", note="Made up"))

    page = superuser.post(url_for(ama), sent, follow=True)

    assert messages_on(page) == ["Referrals cancelled: 2."]
    assert set(Referral.objects.filter(status=CANCELLED, closing_note="Made up")) == set(made[:2])
    assert set(StatusChange.objects.values_list("to_status", "changed_by")) == {
        (CANCELLED, root.pk)
    }
    shown = superuser.get(reverse("admin:medics_referral_change", args=[made[0].pk]))
    assert "Made up" in shown.content.decode()


def test_it_cancels_nothing_but_what_was_shown(superuser, ama, made):
    sent = confirmed(superuser, ama, filled_in())
    longer = moment("first_moment", timedelta(days=2))
    ReferralFactory(referred_by=ama, referred_at=timezone.now() - timedelta(minutes=1))

    for stale in (sent | longer, sent, filled_in(confirmed="yes")):
        page = superuser.post(url_for(ama), stale)
        assert messages_on(page) == ["Look again: this is not what was counted before."]
    assert not StatusChange.objects.exists()
    assert page.context["number"] == 3


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"reason": ""}, {"reason": ["This field is required."]}),
        ({"reason": "because"}, {"reason": ["Select a valid choice. because is not one of the"]}),
        ({"reason": "other"}, {"note": ["Say which reason it is."]}),
        ({"note": "x" * 501}, {"note": ["Ensure this value has at most 500 characters"]}),
        ({"first_moment_0": "soon"}, {"first_moment": ["Enter a valid date."]}),
        (
            moment("last_moment", timedelta(hours=2)),
            {"last_moment": ["This is before the beginning."]},
        ),
    ],
)
def test_what_is_wrong_cancels_nothing(superuser, ama, made, changes, errors):
    page = superuser.post(url_for(ama), filled_in(confirmed="yes", **changes))

    [(name, [words])] = errors.items()
    assert list(page.context["form"].errors) == [name]
    assert page.context["form"].errors[name][0].startswith(words)
    assert not StatusChange.objects.exists()


@pytest.mark.parametrize("practitioner", ["", "abc", "00000000-0000-0000-0000-000000000000"])
def test_an_unknown_account_is_404(superuser, practitioner):
    url = reverse("admin:medics_referral_cancel", query={"practitioner": practitioner})

    assert superuser.get(url).status_code == 404


def test_it_takes_a_permission_of_its_own(browser, ama, made):
    operator = UserFactory(is_staff=True)
    others = Permission.objects.exclude(codename="cancel_referrals")
    operator.user_permissions.set(others)
    account = reverse("admin:authentication_user_change", args=[ama.pk])

    without = browser(operator)
    assert without.post(url_for(ama), filled_in(confirmed="yes")).status_code == 403
    assert "cancel those" not in without.get(account).content.decode()
    operator.user_permissions.add(Permission.objects.get(codename="cancel_referrals"))
    granted = browser(User.objects.get(pk=operator.pk))

    assert "cancel those" in granted.get(account).content.decode()
    assert granted.post(url_for(ama), confirmed(granted, ama, filled_in())).status_code == 302
    assert Referral.objects.filter(status=CANCELLED).count() == 2
