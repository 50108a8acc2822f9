"""Who may do what with whose row: the whole table.

tests/test_permissions.py holds the service to it, and fails where a route is not in it.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.factories import PASSWORD

# The referral is Ama's, to Kofi's branch of the laboratory that Efua administers.
ROLES = {
    "anonymous": "nobody",
    "ama": "the referral's practitioner",
    "yaw": "another practitioner",
    "kofi": "technician of the referral's branch",
    "colleague": "technician of another branch of the laboratory",
    "closed": "technician of a closed branch of the laboratory",
    "stranger": "technician of another laboratory",
    "efua": "administrator of the laboratory",
    "rival": "administrator of another laboratory",
    "operator": "operator of the admin site, otherwise a practitioner",
    "newcomer": "technician of the branch who must change the password",
    "disabled": "technician of the branch whose account is switched off",
}

SIGNED_IN = ["ama", "yaw", "kofi", "colleague", "closed", "stranger", "efua", "rival", "operator"]
PRACTITIONERS = ["ama", "yaw", "operator"]
TECHNICIANS = ["kofi", "colleague", "closed", "stranger", "efua", "rival"]
CONCERNED = ["ama", "kofi", "efua"]


@dataclass
class Rule:
    """A route answers `status` to the roles in `allowed`, and `refused` to other users."""

    route: str
    method: str
    status: int
    allowed: list[str]
    refused: int = 400
    path: dict[str, str] = field(default_factory=dict)
    body: Any = None
    public: bool = False

    def expected(self, role: str) -> int:
        if self.public or role in self.allowed:
            return self.status
        return {"anonymous": 401, "disabled": 401, "newcomer": 403}.get(role, self.refused)

    def __str__(self) -> str:
        return f"{self.method} {self.route}"


BRANCH, TEST = {"branch_id": "{branch}"}, {"referral_test_id": "{referral_test}"}
NEW_PASSWORD = "An0ther-pass"
NEW_TYPE = {"name": "Serology", "tests": [{"name": "VDRL"}]}

RULES = [
    # Public, with or without a token; 400, since the body is empty.
    Rule("auth:user-register", "post", 400, [], public=True),
    Rule("auth:login", "post", 400, [], public=True),
    Rule("auth:token-refresh", "post", 400, [], public=True),
    Rule("auth:client-refresh", "post", 400, [], public=True),
    Rule("auth:logout", "post", 400, [], public=True),
    Rule("medics:get-facilities", "get", 200, [], public=True),
    Rule(
        "medics:get-branches-by-facility",
        "get",
        200,
        [],
        public=True,
        path={"facility_id": "{facility}"},
    ),
    Rule(
        "medics:get-test-types-by-facility",
        "get",
        200,
        [],
        public=True,
        path={"facility_id": "{facility}"},
    ),
    Rule(
        "medics:get-tests-by-test-type",
        "get",
        200,
        [],
        public=True,
        path={"test_type_id": "{test_type}"},
    ),
    Rule("schema", "get", 200, [], public=True),
    Rule("docs", "get", 200, [], public=True),
    # Everybody's own account
    Rule(
        "medics:change-password",
        "post",
        200,
        [*SIGNED_IN, "newcomer"],
        body={
            "current_password": PASSWORD,
            "new_password": NEW_PASSWORD,
            "confirm_new_password": NEW_PASSWORD,
        },
    ),
    # A facility's administrator, at that facility
    Rule("medics:add-branch", "post", 201, ["efua", "rival"], body={"name": "Legon"}),
    Rule("medics:get-branches", "delete", 200, ["efua"], path=BRANCH),
    Rule(
        "medics:add-lab-technician",
        "post",
        201,
        ["efua"],
        body={
            "full_name": "Adjoa",
            "phone_number": "0209999999",
            "password": PASSWORD,
            "branch_id": "{branch}",
        },
    ),
    Rule("utilities:add-test-types", "post", 200, ["efua", "rival"], body=NEW_TYPE),
    Rule(
        "utilities:add-test-types",
        "post",
        200,
        ["efua", "rival", "operator"],
        body={**NEW_TYPE, "facility_ids": ["{facility}"]},
    ),
    # Referrals
    Rule(
        "medics:create-referral",
        "post",
        201,
        PRACTITIONERS,
        body={
            "patient_full_name_or_id": "Abena",
            "tests": ["{test}"],
            "branch_id": "{branch}",
        },
    ),
    Rule("medics:get-practitioner-referrals", "get", 200, PRACTITIONERS),
    Rule("medics:get-technician-referrals", "get", 200, TECHNICIANS),
    Rule(
        "medics:get-update-referral",
        "get",
        200,
        CONCERNED,
        refused=403,
        path={"referral_id": "{referral}"},
    ),
    Rule(
        "medics:get-update-referral",
        "put",
        200,
        CONCERNED,
        refused=403,
        path={"referral_id": "{referral}"},
        body={"status": "Received"},
    ),
    Rule(
        "medics:update-test-status",
        "put",
        200,
        CONCERNED,
        path=TEST,
        body={"status": "Received"},
    ),
]


def filled(value, ids):
    """Return `value` with the id of that name in place of every "{name}"."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    return value.format(**ids) if isinstance(value, str) else value
