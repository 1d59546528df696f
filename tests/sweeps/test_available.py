"""How much memory there is: the machine's, its control groups', the shell's limit."""

import resource

import pytest

from rnn_exp.sweeps.available import available

MB = 1024**2


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))


@pytest.fixture
def machine(tmp_path):
    """A machine with 4,000 MiB available; this process has 100 pages."""
    write(
        tmp_path,
        {
            "proc/meminfo": f"MemTotal: 9 kB\nMemAvailable:   {4000 * 1024} kB\n",
            "proc/self/statm": "100 50 40 1 0 9 0",
            "proc/self/cgroup": "",
        },
    )
    return tmp_path


@pytest.fixture(autouse=True)
def no_limit_of_the_shell(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, -1))


def test_without_limits_all_that_is_available_counts(machine):
    found = available(machine)
    assert found == (4000 * MB, 4000 * MB, "what this machine has available")


def test_the_limit_of_any_group_above_counts_less_the_page_cache(machine):
    write(
        machine,
        {
            "proc/self/cgroup": "0::/batch/job\n",
            "sys/fs/cgroup/batch/memory.max": 2000 * MB,
            "sys/fs/cgroup/batch/memory.current": 900 * MB,
            "sys/fs/cgroup/batch/memory.stat": f"anon 5\ninactive_file {400 * MB}\n",
            "sys/fs/cgroup/batch/job/memory.max": "max",
            "sys/fs/cgroup/batch/job/memory.current": 800 * MB,
        },
    )
    found = available(machine)
    assert found == (1500 * MB, 1500 * MB, "the limit of this process's control group")


def test_in_a_container_the_root_has_the_limit(machine):
    write(
        machine,
        {
            "proc/self/cgroup": "0::/../not/to/be/seen\n",
            "sys/fs/cgroup/memory.max": 700 * MB,
            "sys/fs/cgroup/memory.current": 100 * MB,
        },
    )
    assert available(machine).together == 600 * MB


def test_control_groups_of_version_1_count_as_well(machine):
    write(
        machine,
        {
            "proc/self/cgroup": "5:cpu:/x\n4:memory:/one/two\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": 9223372036854771712,
            "sys/fs/cgroup/memory/memory.usage_in_bytes": 5,
            "sys/fs/cgroup/memory/one/two/memory.limit_in_bytes": 1000 * MB,
            "sys/fs/cgroup/memory/one/two/memory.usage_in_bytes": 700 * MB,
            "sys/fs/cgroup/memory/one/two/memory.stat": f"total_inactive_file {200 * MB}\n",
        },
    )
    assert available(machine).together == 500 * MB


def test_a_limit_of_the_shell_is_one_for_each_process(machine, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000 * MB, 1000 * MB))
    found = available(machine)
    assert found.together == 4000 * MB
    assert 999 * MB < found.each < 1000 * MB
    assert found.where == "the shell's limit, ulimit -v"


def test_nothing_is_left_where_more_is_used_than_allowed_and_nothing_said_is_no_limit(tmp_path):
    assert available(tmp_path) is None
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": 5,
            "sys/fs/cgroup/memory.current": 9,
        },
    )
    assert available(tmp_path).together == 0


def test_this_machine_says_something_that_can_be():
    found = available()
    assert found is not None
    assert 10 * MB < found.each <= found.together
