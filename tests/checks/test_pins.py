"""Pins are resolved by the real program, from a folder of wheels in place of the index."""

import re
import zipfile
from importlib import metadata

import pytest
from django.conf import settings

from tests.checks import pins

ANYWHERE = ("py3-none-any",)
OLDEST, NEWEST = "cp311-cp311", "cp314-cp314"
X86, ARM = "manylinux_2_17_x86_64.manylinux2014_x86_64", "manylinux_2_28_aarch64"


@pytest.fixture
def index(tmp_path, tmp_path_factory, monkeypatch):
    """Gives wheels of a package by their tags, the only one there is to be had, and pins it."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "uv"))
    monkeypatch.setattr(pins, "FOLDER", tmp_path)
    monkeypatch.setattr(pins, "ASKED_FOR", ["requirements"])
    monkeypatch.setattr(pins, "PYTHONS", [pins.PYTHONS[0], pins.PYTHONS[-1]])

    def index(name, tags, *needs, locked=True):
        for tag in tags:
            lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
            lines += [f"Requires-Dist: {need}" for need in needs]
            with zipfile.ZipFile(tmp_path / f"{name}-1.0-{tag}.whl", "w") as wheel:
                wheel.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines))
                wheel.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}")
        if locked:
            with (tmp_path / "requirements.in").open("a") as asked_for:
                asked_for.write(f"{name}==1.0\n")
            with (tmp_path / "requirements.txt").open("a") as whole:
                whole.write(f"{pins.normal(name)}==1.0\n    # via -r requirements.in\n")

    return index


def faults() -> list[str]:
    with pytest.raises(SystemExit) as stopped:
        pins.check_everywhere()
    return re.split(r"\n(?=requirements\.txt)", stopped.value.code)


def test_wheels_for_everybody_pass(index, capsys):
    index("anywhere", ANYWHERE)
    index("compiled", [f"{python}-{where}" for python in (OLDEST, NEWEST) for where in (X86, ARM)])
    pins.check_everywhere()
    assert capsys.readouterr().out.startswith("Every pin has a wheel for Python 3.11, 3.14, on x86")


@pytest.mark.parametrize(
    ("tags", "missing"),
    [
        ([f"{OLDEST}-{X86}"], 3),  # for one Python and one processor
        ([f"py3-none-{X86}"], 2),
        ([f"{OLDEST}-{X86}", f"{OLDEST}-{ARM}"], 2),
        (["py3-none-manylinux_2_39_x86_64", "py3-none-macosx_14_0_arm64"], 4),
    ],
)
def test_a_wheel_that_somebody_lacks_is_named_with_who_lacks_it(index, tags, missing):
    index("anywhere", ANYWHERE)
    index("compiled", tags)
    found = faults()
    assert len(found) == missing
    assert all(
        re.match(r"requirements\.txt, Python 3\.1[14] on [\s\S]*compiled==1\.0", fault)
        for fault in found
    )


def test_what_has_a_source_alone_fails(index, tmp_path):
    index("source", ())
    (tmp_path / "source-1.0.tar.gz").write_bytes(b"")
    assert all("no usable wheels" in fault for fault in faults())


def test_what_somebody_pulls_in_must_stand_in_the_file(index):
    index("pulled_in", ANYWHERE, locked=False)
    index("tenants", ANYWHERE, "pulled-in; python_version >= '3.14'")
    assert faults() == [
        f"requirements.txt, Python 3.14 on {where}: pulled-in==1.0 is not in the file: make lock"
        for where in pins.PLATFORMS
    ]


def test_psycopg_3_is_refused_whoever_pulls_it_in(index):
    index("psycopg_binary", ANYWHERE, locked=False)
    index("psycopg2_binary", ANYWHERE)
    index("tenants", ANYWHERE, "psycopg-binary", "psycopg2-binary")
    found = [fault for fault in faults() if "psycopg 3" in fault]
    assert len(found) == 4
    assert all(fault.endswith(": psycopg-binary is psycopg 3") for fault in found)


ASKED_FOR = "# why\nDjango==5.2.19\ndjango-import-export[xlsx]==4.4.3\n"
WHOLE = """# made by make lock
django==5.2.19 \\
    --hash=sha256:59bb \\
    --hash=sha256:c66a
    # via
    #   -r requirements.in
    #   django-import-export
django-import-export==4.4.3 \\
    --hash=sha256:034c
    # via -r requirements.in
asgiref==3.13.0 ; python_full_version < '3.14' \\
    --hash=sha256:f959
    # via django
"""


@pytest.mark.parametrize(
    ("asked_for", "whole", "found"),
    [
        (ASKED_FOR, WHOLE, []),
        (ASKED_FOR.replace("5.2.19", "5.2.20"), WHOLE, ["django==5.2.19", "django==5.2.20"]),
        (ASKED_FOR + "segno==1.6.6\n", WHOLE, ["segno==1.6.6"]),
        (ASKED_FOR.replace("django-import-export[xlsx]==4.4.3", ""), WHOLE, ["export==4.4.3"]),
        (ASKED_FOR, WHOLE.replace("asgiref==3.13.0", "psycopg==3.3.4"), ["has psycopg, "]),
        (ASKED_FOR, WHOLE.replace("asgiref", "psycopg2-binary"), []),
        (ASKED_FOR, WHOLE.replace("asgiref", "Psycopg_Pool"), ["has psycopg-pool, "]),
    ],
)
def test_what_is_installed_is_what_is_asked_for(tmp_path, monkeypatch, asked_for, whole, found):
    (tmp_path / "requirements.in").write_text(asked_for)
    (tmp_path / "requirements.txt").write_text(whole)
    (tmp_path / "requirements-dev.in").write_text("-r requirements.in\nruff==0.17.6\n")
    (tmp_path / "requirements-dev.txt").write_text(
        "ruff==0.17.6\n    # via -r requirements-dev.in\n"
    )
    monkeypatch.setattr(pins, "FOLDER", tmp_path)
    told = [fault for fault in pins.faults_of_files() if fault.startswith("requirements.txt")]
    assert len(told) == len(found)
    assert all(part in fault for part, fault in zip(found, told, strict=True))


def test_the_files_are_in_step():
    assert list(pins.faults_of_files()) == []


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_pin_that_is_installed_has_its_hashes(name):
    blocks = re.split(r"\n(?=\S)", (settings.BASE_DIR / name).read_text())
    pinned = [block for block in blocks if not block.startswith("#")]
    assert pinned
    assert all("==" in block and "--hash=sha256:" in block for block in pinned)


@pytest.mark.parametrize(
    ("installed", "fails"),
    [
        *(("psycopg2-binary", False), ("psycopgs", False)),
        *(("psycopg", True), ("Psycopg_Binary", True), ("psycopg.pool", True), ("psycopg-c", True)),
    ],
)
def test_psycopg_3_is_found_where_it_is_installed(tmp_path, monkeypatch, installed, fails):
    folder = tmp_path / f"{installed.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {installed}\nVersion: 1.0\n")
    there = list(metadata.distributions(path=[str(tmp_path)]))
    monkeypatch.setattr(pins.metadata, "distributions", lambda: there)
    assert bool(list(pins.faults_of_installed())) is fails


def test_the_python_of_the_image_is_one_that_is_checked():
    bases = re.findall(
        r"^FROM python:(\d\.\d+)-", (settings.BASE_DIR / "Dockerfile").read_text(), re.MULTILINE
    )
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert set(bases) <= set(pins.PYTHONS)
