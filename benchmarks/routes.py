"""What is measured: requests, who sends them, and to which of them the floor is compared."""

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from authentication.models import User
from authentication.services import open_session
from medics.models import Patient, Referral

from . import network
from .measuring import Caller

PRACTITIONERS_LIST = "/api/medics/referrals/practitioner"
TECHNICIANS_LIST = "/api/medics/referrals/technician"
CREATE_REFERRAL = "/api/medics/referral"
LOGIN = "/api/auth/login"

NOWHERE = "zzyzx"


@dataclass(frozen=True)
class Route:
    name: str
    token: str
    path: str
    # The floor has it, too.
    on_floor: bool = False
    # The goal names its ratio to the floor.
    decisive: bool = False
    # The goal wants it flat; it is drawn.
    flat: bool = False


def access_token(phone_number: str) -> str:
    """Good for longer than any run."""
    token = open_session(user=User.objects.get(phone_number=phone_number)).access_token
    token.set_exp(lifetime=timedelta(hours=24))
    return str(token)


def all_routes(get: Callable[[str, str], dict]) -> list[Route]:
    """`get` gives the data that the service answers to a path and a token."""
    tokens = {
        phone_number: access_token(phone_number)
        for phone_number in (*network.PRACTITIONERS[:3], *network.TECHNICIANS[:4])
    }
    large = tokens[network.TECHNICIAN_OF_50_000]
    third = tokens[network.TECHNICIAN_OF_A_THIRD]
    return [
        *_first_pages(tokens),
        *_one_referral(tokens),
        _by_cursor("technician, branch of 50,000, by cursor", large, get),
        _by_cursor("technician, a third of all, by cursor", third, get),
        Route(
            "technician, branch of 50,000, page 5,000",
            large,
            f"{TECHNICIANS_LIST}?page_number=5000",
        ),
        *_searches(
            "practitioner of 20,000",
            tokens[network.PRACTITIONER_OF_20_000],
            PRACTITIONERS_LIST,
            Referral.objects.filter(referred_by__phone_number=network.PRACTITIONER_OF_20_000),
        ),
        *_searches(
            "technician of a third",
            third,
            TECHNICIANS_LIST,
            Referral.objects.filter(facility_branch=network.BRANCH_OF_A_THIRD),
        ),
    ]


def _first_pages(tokens: dict[str, str]) -> list[Route]:
    def practitioner(label: str, phone_number: str, *, decisive: bool = False) -> Route:
        name = f"practitioner, {label}"
        token = tokens[phone_number]
        return Route(name, token, PRACTITIONERS_LIST, on_floor=True, decisive=decisive, flat=True)

    def technician(
        label: str, phone_number: str, *, on_floor: bool = False, decisive: bool = False
    ) -> Route:
        name = f"technician, {label}"
        token = tokens[phone_number]
        return Route(name, token, TECHNICIANS_LIST, on_floor=on_floor, decisive=decisive, flat=True)

    return [
        practitioner("100", network.PRACTITIONER_OF_100),
        practitioner("2,000", network.PRACTITIONER_OF_2_000, decisive=True),
        practitioner("20,000", network.PRACTITIONER_OF_20_000),
        technician("branch of 50,000", network.TECHNICIAN_OF_50_000, on_floor=True, decisive=True),
        technician("a third of all", network.TECHNICIAN_OF_A_THIRD, on_floor=True),
        technician("five branches", network.TECHNICIAN_OF_FIVE_BRANCHES),
        technician("facility's administrator", network.ADMINISTRATOR),
    ]


def _one_referral(tokens: dict[str, str]) -> list[Route]:
    phone_number = network.PRACTITIONER_OF_2_000
    own = Referral.objects.filter(referred_by__phone_number=phone_number)
    path = f"{CREATE_REFERRAL}/{own.earliest('referred_at').id}"
    return [Route("one referral", tokens[phone_number], path, on_floor=True, decisive=True)]


def _by_cursor(name: str, token: str, get: Callable[[str, str], dict]) -> Route:
    """The page after the one in the middle of the list."""
    pages = get(TECHNICIANS_LIST, token)["pagination"]["total_pages"]
    middle = get(f"{TECHNICIANS_LIST}?page_number={max(1, pages // 2)}", token)
    cursor = middle["pagination"]["next_cursor"]
    return Route(name, token, f"{TECHNICIANS_LIST}?cursor={quote(cursor)}", flat=True)


def _searches(who: str, token: str, path: str, referrals) -> list[Route]:
    quansahs = Patient.objects.filter(full_name_or_id__contains="Quansah")
    rare = quansahs.filter(referrals__in=referrals).order_by("id").first()
    texts = {
        "rare": rare.full_name_or_id if rare else "Quansah",
        "nowhere": NOWHERE,
        "one in a hundred": "quansah",
        "a third": "nana",
        "broad": "panel",
        "two letters": "kw",
        "two letters, nowhere": "zx",
    }
    return [
        Route(f"{who}, search: {label}", token, f"{path}?search_query={quote(text)}")
        for label, text in texts.items()
    ]


def new_referral() -> dict:
    """Unlike any other, for an equal one is answered with the first.

    All go to the one branch that most people look at.
    """
    tests = itertools.islice(itertools.count(1, network.TESTS_PER_FACILITY // 3), 3)
    return {
        "patient_full_name_or_id": f"NEW-{uuid.uuid4().hex}",
        "patient_contact_number": "0244000000",
        "tests": list(tests),
        "branch_id": network.BRANCH_OF_A_THIRD,
        "clinical_notes": "Fever for three days.",
    }


def log_in(caller: Caller, phone_number: str) -> None:
    caller.expect(200, "POST", LOGIN, {"phone_number": phone_number, "password": network.PASSWORD})
