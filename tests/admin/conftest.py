import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from authentication.models import User
from tests.factories import UserFactory


@pytest.fixture
def browser():
    """Makes a browser in which the user is logged in to the admin site."""

    def browser(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return browser


@pytest.fixture
def root(db) -> User:
    return UserFactory(full_name="Root", is_staff=True, is_superuser=True)


@pytest.fixture
def superuser(root, browser) -> Client:
    return browser(root)


@pytest.fixture
def operator(db) -> User:
    """May do with every model what permissions allow, but is no superuser."""
    operator = UserFactory(full_name="Adwoa Operator", is_staff=True)
    operator.user_permissions.set(Permission.objects.all())
    return operator
