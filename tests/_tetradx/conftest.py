import pytest


@pytest.fixture
def log(tmp_path):
    """An empty file for the log of a service that the test runs."""
    path = tmp_path / "log"
    path.touch()
    return path
