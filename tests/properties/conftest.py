from contextlib import contextmanager

import pytest
from django.db import transaction


@pytest.fixture
def undone(db):
    """What one of a test's many examples stores is gone after the block."""

    @contextmanager
    def undone():
        with transaction.atomic():
            yield
            transaction.set_rollback(True)

    return undone
