from collections import Counter

from demo.catalogue import read_catalogue
from demo.network import DEMAND

CATALOGUE = read_catalogue()


def check_digit(number: str) -> int:
    """Mod 10, as Regenstrief's LOINC Users' Guide gives it (appendix B)."""
    odd, even = number[::-1][::2], number[::-1][1::2]
    doubled = str(int(odd[::-1]) * 2)
    return -sum(map(int, even[::-1] + doubled)) % 10


def test_there_are_about_120_tests_in_about_a_dozen_types():
    assert 110 <= len(CATALOGUE) <= 130
    assert 12 <= len({test.test_type for test in CATALOGUE}) <= 15


def test_names_are_written_as_add_test_types_stores_them():
    for test in CATALOGUE:
        for name in (test.test_type, test.name):
            assert name == name.strip().upper() != ""


def test_a_name_stands_once_in_its_type():
    names = Counter((test.test_type, test.name.casefold()) for test in CATALOGUE)
    assert max(names.values()) == 1


def test_every_test_has_a_price():
    assert all(0 < test.price < 1000 for test in CATALOGUE)


def test_loinc_codes_have_their_check_digit_and_stand_once():
    codes = [test.loinc for test in CATALOGUE if test.loinc]
    assert len(codes) == len(set(codes))
    for code in codes:
        number, digit = code.split("-")
        assert check_digit(number) == int(digit), code


def test_the_check_digit_is_that_of_the_users_guide():
    assert check_digit("12345") == 5


def test_the_tests_of_a_type_stand_together():
    types = [test.test_type for test in CATALOGUE]
    assert types == sorted(types, key=types.index)


def test_the_demand_for_every_type_is_known():
    assert {test.test_type for test in CATALOGUE} == set(DEMAND)
