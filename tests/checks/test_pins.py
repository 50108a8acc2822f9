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
    """Gives wheels of a package by their tags; the only one there is to be had."""
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "uv"))
    monkeypatch.setattr(pins, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(pins, "PYTHONS", [pins.PYTHONS[0], pins.PYTHONS[-1]])

    def index(name, tags, *needs):
        for tag in tags:
            lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0"]
            lines += [f"Requires-Dist: {need}" for need in needs]
            with zipfile.ZipFile(tmp_path / f"{name}-1.0-{tag}.whl", "w") as wheel:
                wheel.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines))
                wheel.writestr(f"{name}-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}")
        with pins.REQUIREMENTS.open("a") as requirements:
            requirements.write(f"{name.replace('_', '-')}==1.0\n")

    return index


def test_wheels_for_everybody_pass(index, capsys):
    index("anywhere", ANYWHERE)
    index("compiled", [f"{python}-{where}" for python in (OLDEST, NEWEST) for where in (X86, ARM)])
    pins.check_everywhere()
    assert capsys.readouterr().out.startswith(
        "Every pin has a wheel for Python 3.11, 3.14, on x86_64"
    )


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
    with pytest.raises(SystemExit) as stopped:
        pins.check_everywhere()
    assert len(re.findall("^Python 3.* on ", stopped.value.code, re.MULTILINE)) == missing
    assert "compiled==1.0" in stopped.value.code


def test_what_has_a_source_alone_fails(index, tmp_path):
    index("anywhere", ANYWHERE)
    (tmp_path / "source-1.0.tar.gz").write_bytes(b"")
    with pins.REQUIREMENTS.open("a") as requirements:
        requirements.write("source==1.0\n")
    with pytest.raises(SystemExit, match=r"Python 3\.11 on [\s\S]*no usable wheels"):
        pins.check_everywhere()


def test_psycopg_3_is_refused_whoever_pulls_it_in(index):
    index("psycopg_binary", ANYWHERE)
    index("psycopg2_binary", ANYWHERE)
    pins.REQUIREMENTS.write_text("")
    index("tenants", ANYWHERE, "psycopg-binary", "psycopg2-binary")
    with pytest.raises(SystemExit) as stopped:
        pins.check_everywhere()
    assert len(stopped.value.code.splitlines()) == 4
    assert (
        "Python 3.14 on aarch64-manylinux_2_28: psycopg-binary is psycopg 3" in stopped.value.code
    )
    assert "psycopg2" not in stopped.value.code.replace("in place of psycopg2", "")


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
    if not fails:
        pins.check_installed()
        return
    with pytest.raises(SystemExit, match="psycopg 3"):
        pins.check_installed()


def test_the_python_of_the_image_is_one_that_is_checked():
    bases = re.findall(
        r"^FROM python:(\d\.\d+)-", (settings.BASE_DIR / "Dockerfile").read_text(), re.MULTILINE
    )
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert set(bases) <= set(pins.PYTHONS)
