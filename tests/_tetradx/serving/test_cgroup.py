import pytest

from _tetradx.serving.cgroup import cpu_quota, memory_bytes, processors


@pytest.fixture
def cgroup(tmp_path):
    """A control group's folder with these files."""

    def cgroup(files):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return cgroup


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_the_quota_is_read_in_processors(cgroup, files, quota):
    assert cpu_quota(cgroup(files)) == quota


@pytest.mark.parametrize(
    ("quota", "affinity", "expected"), [("50000", 4, 1), ("150000", 4, 2), ("800000", 4, 4)]
)
def test_the_lesser_of_quota_and_affinity_counts(cgroup, monkeypatch, quota, affinity, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(affinity)), raising=False)
    assert processors(cgroup({"cpu.max": f"{quota} 100000"})) == expected


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "536870912\n"}, 512 * 1024 * 1024),
        ({"memory.max": "max\n"}, None),
        ({"memory/memory.limit_in_bytes": "536870912\n"}, 512 * 1024 * 1024),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
        ({}, None),
    ],
)
def test_the_limit_of_memory_is_read_in_bytes(cgroup, files, limit):
    assert memory_bytes(cgroup(files)) == limit
