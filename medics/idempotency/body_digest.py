"""The digest that tells whether two requests ask for the same referral."""

import hashlib

import orjson

from _tetradx.values.folding import name_key
from authentication.phone_numbers import phone_key


def digest_of_referral(
    *,
    branch_id: int,
    test_ids: list[int],
    patient_full_name_or_id: str,
    patient_contact_number: str = "",
    clinical_notes: str = "",
) -> str:
    """Return the SHA-256 digest, in hexadecimal, of the fields of `create_referral`.

    The digest ignores the case and spacing of the patient's name or id, the spelling of the phone
    number, the order of the tests, a test named twice, and blanks around the notes.
    """
    normalized = [
        branch_id,
        sorted(set(test_ids)),
        name_key(patient_full_name_or_id),
        phone_key(patient_contact_number),
        clinical_notes.strip(),
    ]
    return hashlib.sha256(orjson.dumps(normalized)).hexdigest()
