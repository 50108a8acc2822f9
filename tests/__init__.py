import pytest

# Without this a failing assertion in tests/support would not show the values that it compared.
pytest.register_assert_rewrite("tests.support")
