"""A dask Client as the executor: workers die, all of them, the client too; the report stays."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("distributed")

import dask
import distributed
from distributed import Client, LocalCluster
from numba import njit

import fastgrad as fg
from fastgrad.cluster import engines, pace
from fastgrad.cluster.dispatch import AHEAD
from fastgrad.errors import ExecutorError
from tests.extras import nightly

QUIET = {"dashboard_address": ":0", "silence_logs": 50}
# Of dask's own, when a cluster is closed, or its workers are killed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    os.environ["FASTGRAD_CALLS"] = str(tmp_path_factory.mktemp("calls") / "calls")
    with LocalCluster(n_workers=2, threads_per_worker=1, **QUIET) as started:
        yield started


@pytest.fixture
def client(cluster):
    with Client(cluster) as connected:
        whole(connected)
        yield connected


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    """Parts of a fifth of a second, some ten evaluations: longer than it takes to hear of a death."""
    monkeypatch.setattr(pace, "PART_SECONDS", 0.2)


@pytest.fixture(scope="module")
def undisturbed(cluster):
    return nightly.said(nightly.check())


def calls():
    return os.path.getsize(os.environ["FASTGRAD_CALLS"])


def test_the_answer_is_that_of_one_process(client, undisturbed):
    report = nightly.check(executor=client)
    assert nightly.said(report) == undisturbed
    assert "on 2 workers of a dask Client" in report.ran


def whole(client, workers=2):
    """Wait until all workers are there; what a cluster gave up is asked for again, as a check does."""
    engine, until = engines.DaskEngine(client), time.monotonic() + 120
    while len(client.scheduler_info(n_workers=-1)["workers"]) < workers or engine.workers < workers:
        assert time.monotonic() < until, "the workers did not come back"
        time.sleep(0.1)


def pids(client, workers=2):
    found = []
    while (
        len(found) < workers
    ):  # a cluster may close one just now, long after the one before it died
        whole(client)
        found = list(client.run(os.getpid, on_error="ignore").values())
    return found


def killed_meanwhile(client, delay, victims):
    """A check during which workers are killed once; its report, and the calls that it took."""
    targets = pids(client)[:victims]
    before = calls()

    def kill():
        time.sleep(delay)
        for pid in targets:
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    report = nightly.check(executor=client)
    killer.join()
    whole(client)
    return nightly.said(report), calls() - before


def disturbed(client, undisturbed, seed, times, victims):
    before = calls()
    nightly.check(executor=client)
    usual, most = calls() - before, 0
    rng = np.random.default_rng(seed)
    for _ in range(times):
        got, made = killed_meanwhile(client, rng.uniform(0.1, 1.8), victims)
        assert got == undisturbed
        most = max(most, made - usual)
    return most


def test_a_killed_worker_is_replaced(client, undisturbed):
    """What it was at is done again: its part, and the one that waited there."""
    assert disturbed(client, undisturbed, 0, 2, victims=1) <= 2 * 12


@pytest.mark.slow
def test_workers_killed_at_20_random_moments(client, undisturbed):
    assert disturbed(client, undisturbed, 1, 20, victims=1) <= 2 * 12


@pytest.mark.slow
def test_all_workers_killed_at_once(undisturbed):
    with LocalCluster(n_workers=2, threads_per_worker=1, **QUIET) as own, Client(own) as client:
        assert disturbed(client, undisturbed, 2, 1, victims=2) <= 2 * 12


@pytest.mark.slow
def test_workers_that_a_cluster_gave_up_are_started_again(undisturbed):
    """As it does where they are not back in time, on a machine that is busy: here at once."""
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10ms"}),
        LocalCluster(n_workers=2, threads_per_worker=1, **QUIET) as own,
        Client(own) as client,
    ):
        got, _ = killed_meanwhile(client, 0.4, victims=2)
    assert got == undisturbed


@pytest.mark.slow
def test_a_cluster_without_workers_is_a_broken_executor(client, undisturbed, monkeypatch):
    monkeypatch.setattr(engines, "NO_WORKER_SECONDS", 3.0)
    with LocalCluster(n_workers=1, threads_per_worker=1, **QUIET) as own, Client(own) as alone:
        before = calls()

        def end():
            while calls() < before + 60:  # in the sweep
                time.sleep(0.01)
            own.scale(0)

        ends = threading.Thread(target=end)
        ends.start()
        report = nightly.check(executor=alone)
        ends.join()
    (said,) = [remark for remark in report.remarks if "entries judged" in remark]
    assert "no worker for 3 s" in said


@pytest.mark.slow
def test_a_scheduler_that_is_gone_is_a_broken_executor(tmp_path, undisturbed):
    """Its client tells nobody that what it was to answer will not come."""
    file = tmp_path / "scheduler.json"
    run = [sys.executable, "-m"]
    at = ["--scheduler-file", str(file), "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [*run, "distributed.cli.dask_scheduler", "--port", "0", *at]
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2s"}),
        subprocess.Popen(command, **quiet) as scheduler,
    ):
        while not file.exists():
            time.sleep(0.05)
        worker = [
            *run,
            "distributed.cli.dask_worker",
            "--nthreads",
            "1",
            *at,
            "--death-timeout",
            "5",
        ]
        with subprocess.Popen(worker, **quiet) as own, Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(1)
            before = calls()

            def kill():
                while calls() < before + 60:
                    time.sleep(0.01)
                scheduler.kill()

            killer = threading.Thread(target=kill)
            killer.start()
            report = nightly.check(executor=client)
            killer.join()
            own.kill()
    (said,) = [remark for remark in report.remarks if "entries judged" in remark]
    assert "the executor broke" in said
    assert 0 < report.checked < nightly.N


def test_a_large_argument_goes_out_once(client):
    """From there on from worker to worker, and not with every part."""
    weights = np.linspace(1.0, 2.0, 50_000)

    def loss(x, weights):
        time.sleep(0.01)
        return float((x**3).sum() * weights[0])

    x = np.linspace(0.5, 1.5, 40)
    expected = fg.grad(loss, backend="python")(x, weights)
    with distributed.get_task_stream(client) as stream:
        got = fg.grad(loss, backend="python", executor=client)(x, weights)
    np.testing.assert_array_equal(got, expected)
    keys = [task["key"].partition("-")[0] for task in stream.data]
    assert keys.count("job") == 1
    assert keys.count("part") >= 4


def killed_clients(tmp_path, cluster, undisturbed, seed, times):
    """Checks of which the client is killed at a random moment, and that are then run again.

    What each took beyond an undisturbed one, in evaluations.
    """
    address = cluster.scheduler_address
    rng, usual, more = np.random.default_rng(seed), usual_calls(), []
    for k in range(times):
        path, counted = tmp_path / f"{k}.fg", os.environ["FASTGRAD_CALLS"]
        command = [sys.executable, "-m", "tests.extras.nightly", str(path), counted, address]
        before = calls()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while calls() == before:  # it starts for some seconds
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 1.6))
            run.kill()
        time.sleep(0.3)  # parts that were begun on workers are finished there
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip().endswith(str(undisturbed))
        more.append(calls() - before - usual)
    print("evaluations made twice:", sorted(more))
    return more


def usual_calls():
    before = calls()
    nightly.check()
    return calls() - before


def test_a_killed_client_goes_on_from_its_checkpoint(tmp_path, cluster, undisturbed):
    """What was in flight is done again: by each worker a part at work, and one answered or waiting."""
    (more,) = killed_clients(tmp_path, cluster, undisturbed, 0, 1)
    assert more <= AHEAD * 2 * 12


@pytest.mark.slow
def test_clients_killed_at_20_random_moments(tmp_path, cluster, undisturbed):
    """As a rule two parts are done again, those at work: an answer is rarely just on its way."""
    more = killed_clients(tmp_path, cluster, undisturbed, 1, 20)
    assert max(more) <= AHEAD * 2 * 12
    assert np.quantile(more, 0.75) <= 2 * 12


@pytest.mark.slow
def test_an_entry_that_crashes_every_worker_is_named(client):
    x = np.arange(12) / 12 + 0.5

    def deadly(x):
        time.sleep(0.05)
        beside = np.flatnonzero(x != np.arange(12) / 12 + 0.5)
        if beside.tolist() == [7]:
            os.kill(os.getpid(), signal.SIGKILL)
        return float((x**4).sum())

    report = fg.check_grad(deadly, 4 * x**3, x, backend="python", strategy="sweep", executor=client)
    (said,) = [remark for remark in report.remarks if "killed every worker" in remark]
    assert "at theta[7] " in said
    assert [entry.name for entry in report.entries if entry.verdict != "agrees"] == ["theta[7]"]
    whole(client)


def losses():
    factor = 3.0

    class Model:
        def __init__(self):
            self.factor = 2.0

        def loss(self, x):
            time.sleep(0.02)
            return float(self.factor * (x**3).sum())

    def closure(x):
        time.sleep(0.02)
        return float(factor * (x**3).sum())

    @njit
    def compiled(x):
        total = 0.0
        for _ in range(2_000_000):
            total = 0.999 * total + 1e-9 * x[0]
        return factor * (x**3).sum() + total

    return {
        "closure": closure,
        "method": Model().loss,
        "lambda": lambda x: (time.sleep(0.02), float((x**3).sum()))[1],
        "compiled": compiled,
    }


@pytest.mark.parametrize("kind", ["closure", "method", "lambda", "compiled"])
def test_losses_of_all_kinds_travel(client, kind):
    loss, x = losses()[kind], np.linspace(0.5, 1.5, 40)
    backend = "auto" if kind == "compiled" else "python"
    expected = fg.grad(loss, backend=backend)(x)
    with distributed.get_task_stream(client) as stream:
        got = fg.grad(loss, backend=backend, executor=client)(x)
    np.testing.assert_array_equal(got, expected)
    assert len(stream.data) >= 2  # parts that workers did


def test_layers_jacobians_and_hessians_go_out(client):
    from tests.extras.test_all_checks import told

    def slowly(x, w):
        time.sleep(0.01)
        return np.tanh(x @ w)

    def backward(c, x, w):
        inner = c * (1 - np.tanh(x @ w) ** 2)
        return inner @ w.T, x.T @ inner

    def energy(x):
        time.sleep(0.01)
        return float((x**4).sum() + x[0] * x[1])

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))
    one, hessian = w[:, 0].copy(), np.diag(12 * w[:, 0] ** 2)
    hessian[0, 1] = hessian[1, 0] = 1.0
    for check in (
        lambda **through: fg.check_vjp(slowly, backward, x, w, strategy="sweep", **through),
        lambda **through: fg.check_hessian(energy, hessian, one, backend="python", **through),
    ):
        with distributed.get_task_stream(client) as stream:
            got = check(executor=client)
        assert len(stream.data) >= 4
        assert "on 2 workers of a dask Client" in got.ran
        assert told(got) == told(check())
        assert got.verdict == "agrees"


def test_what_cannot_travel_is_named(client):
    lock = threading.Lock()

    def loss(x):
        time.sleep(0.02)
        with lock:
            return float((x**3).sum())

    with pytest.raises(ExecutorError, match="lock, which loss reads from outside, cannot be sent"):
        fg.grad(loss, backend="python", executor=client)(np.ones(20))


def test_ctrl_c_leaves_the_client_usable(client, undisturbed):
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        nightly.check(executor=client)
    timer.join()
    assert nightly.said(nightly.check(executor=client)) == undisturbed


def test_many_problems_on_workers(client):
    problem = nightly.loss, nightly.gradient(), nightly.X, nightly.A
    options = {"backend": "python", "strategy": "sweep"}
    found = fg.check_many({str(k): problem for k in range(4)}, executor=client, **options)
    assert [report.verdict for report in found] == ["disagrees"] * 4
    assert len({nightly.said(report) for report in found}) == 1


def test_a_pool_of_processes_that_breaks_keeps_what_was_judged(undisturbed):
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        before = calls()

        def kill():
            while calls() < before + 60:
                time.sleep(0.01)
            os.kill(next(iter(pool._processes)), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        report = nightly.check(executor=pool)
        killer.join()
    (said,) = [remark for remark in report.remarks if "entries judged" in remark]
    assert "the executor broke (BrokenProcessPool); pass a dask Client" in said
    assert 0 < report.checked < nightly.N
