"""Jobs that loop, crash, eat memory or reach outside cost one item, and nothing of this process."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from fastgrad.repair.sandbox import Limits, run_apart

SECONDS = 0.3


def limits(memory=1 << 30, deadline=600.0):
    return Limits(SECONDS, memory, time.perf_counter() + deadline)


def forever(_):
    while True:
        pass


def stubborn(_):
    while True:
        try:
            forever(None)
        except BaseException:
            continue


def crash(_):
    os.kill(os.getpid(), signal.SIGSEGV)


def eat(_):
    return float(np.ones(1 << 31).sum())


def write(path):
    with open(path, "w") as file:
        file.write("x")


def start(_):
    return subprocess.run([sys.executable, "--version"], check=True)


def ask(_):
    return input()


def remove(path):
    os.remove(path)


def square(x):
    return x * x


BAD = {
    "an endless loop": forever,
    "a loop that swallows the alarm": stubborn,
    "a crash": crash,
    "16 GiB": eat,
    "a file written": write,
    "a file removed": remove,
    "a process started": start,
    "input read": ask,
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_one_bad_job_costs_itself_alone(bad, workers, tmp_path):
    kept = tmp_path / "kept"
    kept.write_text("kept")
    jobs = [lambda: square(1), lambda: square(2), lambda: bad(kept), lambda: square(4)]
    got = dict(run_apart(lambda job: job(), jobs, limits(), workers))
    assert got == {0: 1, 1: 4, 2: None, 3: 16}
    assert kept.read_text() == "kept"


def wait(_):
    time.sleep(2 * SECONDS)
    return "waited"


def test_the_limit_of_a_job_is_of_cpu_time_so_that_others_beside_it_do_not_end_it():
    assert dict(run_apart(lambda job: job(0), [wait, square], limits())) == {0: "waited", 1: 0}


def test_what_a_job_changes_is_lost_with_its_child():
    box = [0]

    def grow(_):
        box.append(1)
        return len(box)

    assert [length for _, length in run_apart(grow, range(3), limits())] == [2, 3, 4]
    assert box == [0]


def children():
    """Of this process; pools of other tests may have left a server of theirs."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


@pytest.mark.skipif(sys.platform != "linux", reason="children are listed in /proc")
def test_the_deadline_ends_all_and_leaves_no_child():
    before = children()
    assert list(run_apart(stubborn, range(4), limits(deadline=0.2), 2)) == []
    assert children() == before


SLOW = """
    import sys, time
    import numpy as np
    import fastgrad as fg

    def gradient(x):
        time.sleep(0.05)
        return 3 * x + 0 * x * x

    report = fg.check_grad(
        lambda x: (np.sin(x) ** 3).sum(), gradient, np.ones(2), backend="python", strategy="sweep"
    )
    print("searching", flush=True)
    report.suggest(3600)
"""


def test_ctrl_c_ends_a_search_and_its_children(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text(textwrap.dedent(SLOW))
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "searching\n"
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
