"""What the tests' own modules may import."""

import ast
from pathlib import Path

TESTS = Path(__file__).parent


def imported_by(file: Path) -> set[str]:
    """The last words of what the module imports: modules, and names that may be modules."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.name.split(".")[-1] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[-1])
    return found


def test_no_module_imports_a_test_module_or_a_conftest():
    """What several of them need is in tests/support, in tests/factories.py, or is a fixture."""
    test_modules = {file.stem for file in TESTS.rglob("test_*.py")}
    wrong = {
        str(file.relative_to(TESTS)): sorted(names)
        for file in TESTS.rglob("*.py")
        if (names := imported_by(file) & (test_modules | {"conftest"}))
    }
    assert wrong == {}
