from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as some

from _tetradx.values.folding import fold
from tests.factories import (
    FacilityBranchFactory,
    FacilityFactory,
    PatientFactory,
    PractitionerFactory,
    ReferralFactory,
    TechnicianFactory,
    TestFactory,
    TestTypeFactory,
)

# All letters that Python knows, and all that is special in SQL or LIKE.
letters = some.characters(exclude_categories=["Cs", "Cn", "Cc"])
characters = some.sampled_from("%_\\'\"$;-*?.()[]{}|^ aAßİΣςÄä漢字😀\u0301\u00a0") | letters
names = some.text(characters, min_size=1, max_size=8).filter(str.strip)


@some.composite
def searches(draw):
    """Names of two referrals, and a text: a piece of one of them in whatever case, or anything."""
    shown = [
        draw(some.fixed_dictionaries(dict.fromkeys(["patient", "branch", "test", "type"], names)))
        for _ in range(2)
    ]
    all_names = [name for each in shown for name in each.values()]
    name = draw(some.sampled_from(all_names))
    start = draw(some.integers(0, len(name) - 1))
    piece = name[start : draw(some.integers(start + 1, len(name)))]
    text = draw(some.sampled_from([piece, piece.upper(), piece.lower()]) | names)
    return shown, text


@given(searches(), names, names)
def test_a_search_finds_what_holds_the_text(undone, signed_in, searched, facility_name, doctor):
    shown, text = searched
    with undone():
        ama = PractitionerFactory(full_name=doctor)
        facility = FacilityFactory(name=facility_name)
        expected, branches = set(), []
        for number, named in enumerate(shown):
            # Of a facility no two branches, and no two types, have the same name.
            named |= {key: f"{named[key]}{number}" for key in ("branch", "type")}
            branches.append(FacilityBranchFactory(facility=facility, name=named["branch"]))
            test = TestFactory(
                name=named["test"],
                test_type=TestTypeFactory(facility=facility, name=named["type"]),
            )
            referral = ReferralFactory(
                referred_by=ama,
                facility_branch=branches[-1],
                patient=PatientFactory(full_name_or_id=named["patient"]),
                tests=[test],
            )
            all_names = [*named.values(), facility_name, doctor]
            if any(fold(text.strip()) in fold(name) for name in all_names):
                expected.add(referral.id)
        kofi = TechnicianFactory(branches=branches)
        for user, role in [(ama, "practitioner"), (kofi, "technician")]:
            url = reverse(f"medics:get-{role}-referrals")
            answer = signed_in(user).get(url, {"search_query": text}).json()["data"]
            assert {row["referral_id"] for row in answer["referrals"]} == expected
            assert answer["data_summary"]["total_referrals"] == len(expected)


@given(some.text(max_size=30))
def test_any_text_at_all_is_answered(referral, ama, signed_in, text):
    answer = signed_in(ama).get(
        reverse("medics:get-practitioner-referrals"), {"search_query": text}
    )
    assert answer.status_code == (400 if "\0" in text.strip() else 200)
