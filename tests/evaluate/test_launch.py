"""Who is given threads: work that pays for them, by measured cost."""

import numba
import numpy as np
import pytest

from fastgrad.evaluate import kernels, process, schedule, sharing
from tests.losses import bought, evaluator_of, parallel_squares, rosenbrock, steps_of


@pytest.fixture(autouse=True)
def kernels_at_once():
    """However small a problem is."""
    with bought():
        yield


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told to move."""
    now = [0.0]
    monkeypatch.setattr(schedule.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def cost(clock):
    return schedule.LaunchCost()


def test_a_launch_that_went_badly_is_remembered_and_forgotten(cost, clock):
    assert cost() == cost.IDLE
    cost.saw(2e-3)
    assert cost() == pytest.approx(cost.IDLE + 2e-3)
    clock[0] += cost.HALF_LIFE
    assert cost() == pytest.approx(cost.IDLE + 1e-3)
    clock[0] += 100 * cost.HALF_LIFE
    assert cost() == pytest.approx(cost.IDLE)


def test_what_a_launch_is_seen_to_cost_has_its_bounds(cost):
    cost.saw(-1.0)
    assert cost() == cost.IDLE
    cost.saw(60.0)  # a machine that slept
    assert cost() == pytest.approx(cost.IDLE + cost.WORST)


def test_threads_pay_for_enough_work(monkeypatch):
    monkeypatch.setattr(schedule, "launch_cost", lambda: 50e-6)
    assert not schedule.pays(1.0, threads=1)
    assert not schedule.pays(100e-6, threads=8)
    assert schedule.pays(1e-3, threads=2)
    monkeypatch.setattr(schedule, "launch_cost", lambda: 10e-3)
    assert not schedule.pays(1e-3, threads=2)
    assert schedule.pays(1.0, threads=2)


@pytest.fixture
def launched(monkeypatch):
    """How many rows each launch worked on."""
    rows = []
    for name, threads in [("coordinates_serial", lambda work: 1), ("coordinates_parallel", len)]:
        kernel = getattr(kernels, name)

        def spy(*args, kernel=kernel, threads=threads):
            rows.append(threads(args[3]))
            kernel(*args)

        monkeypatch.setattr(kernels, name, spy)
    monkeypatch.setattr(schedule, "available_threads", lambda: 2)
    monkeypatch.setattr(schedule, "launch_cost", lambda: 50e-6)
    return rows


def evaluator_of_cost(seconds, n=10, loss=rosenbrock):
    run = evaluator_of(loss, np.linspace(0, 1, n))
    run.cost = schedule.Cost()
    run.cost.saw(100, 1, 100 * seconds)
    return run


def test_a_small_problem_does_not_pay_for_a_launch(launched):
    run = evaluator_of_cost(1e-6)
    run.coordinates(*steps_of(run))
    assert launched == [1]


def test_a_large_one_gets_the_threads(launched):
    run = evaluator_of_cost(1e-3)
    run.coordinates(*steps_of(run))
    assert launched[0] == 2


def test_the_cost_is_measured_on_the_first_evaluation(launched):
    run = evaluator_of(rosenbrock, np.linspace(0, 1, 10))
    run.cost = schedule.Cost()
    run.coordinates(*steps_of(run))
    assert len(launched) >= 2  # the first by itself; more where this thread was held up in it
    assert set(launched) == {1}
    assert run.cost.seconds < 1e-3


def test_a_loss_that_is_parallel_itself_is_never_given_threads(launched):
    run = evaluator_of_cost(1e-3, loss=parallel_squares)
    run.coordinates(*steps_of(run))
    assert set(launched) == {1}


def test_single_evaluations_do_not_spoil_the_measurement(launched):
    run = evaluator_of_cost(1e-9)
    run.value()
    assert run.cost.seconds == 1e-9


@pytest.mark.parametrize("masked", [1, numba.config.NUMBA_NUM_THREADS])
def test_the_number_of_threads_that_numba_was_told(masked):
    before = numba.get_num_threads()
    numba.set_num_threads(masked)
    try:
        assert process.available_threads() == masked
    finally:
        numba.set_num_threads(before)


def test_a_fork_of_threads_gets_none(monkeypatch):
    monkeypatch.setattr(process.forks, "forked_from_threads", True)
    assert process.available_threads() == 1
    monkeypatch.setattr(process, "threading_layer", lambda: "omp")
    with pytest.raises(RuntimeError, match=r"parallel itself.*forked.*spawn"):
        evaluator_of(parallel_squares, np.ones(3))


@pytest.fixture
def machine(monkeypatch, clock):
    """``machine(seconds)`` makes 20 evaluations on one whose launches take what ``seconds`` says."""
    fresh = schedule.LaunchCost()
    monkeypatch.setattr(schedule, "launch_cost", fresh)
    monkeypatch.setattr(schedule, "available_threads", lambda: 2)
    cost = schedule.Cost()

    def evaluate(seconds):
        used = []

        def run(start, stop, threads):
            used.append(threads)
            clock[0] += seconds(stop - start, threads)

        work = schedule.Work(run, lambda *_: None, lambda _: None)
        schedule.in_slabs(20, cost, work)
        return cost.seconds, used[-1]

    return evaluate


def test_a_launch_on_busy_cores_is_not_taken_for_work(machine):
    """However long launches take, and the first evaluation with them."""
    machine(lambda count, threads: 8e-3)
    for _ in range(50):
        seen, threads = machine(lambda count, threads: 8e-3 if threads > 1 else 1e-5 * count)
    assert seen == pytest.approx(1e-5)
    assert threads == 1


def test_work_that_grows_is_noticed(machine):
    assert machine(lambda count, threads: 1e-6 * count / threads)[1] == 1
    for _ in range(3):
        seen, threads = machine(lambda count, threads: 1e-3 * count / threads)
    assert seen == pytest.approx(1e-3)
    assert threads == 2


@pytest.mark.parametrize("seconds", [1e-6, 1e-2, 1.0])
def test_comparisons_of_threads_take_a_small_part_of_the_time(seconds, clock):
    """Four evaluations a second were more than all others, of a loss that takes a second."""
    run = evaluator_of(rosenbrock, np.ones(5))
    run.compiled.comparisons, run.compiled.compared = sharing.FIRST_COMPARISONS, 0.0
    cost = schedule.Cost()
    cost.seconds = seconds
    shared = sharing.Sharing(run.compiled, (), cost)
    shared.saw(2)
    made = []
    while clock[0] < 1000.0:
        clock[0] += 0.5
        assert not shared.spoiled(lambda *which: made.append(which), np.zeros(50), None)
    pause = max(sharing.COMPARE_SECONDS, sharing.COMPARED_PART * sharing.COMPARED * seconds)
    assert len(made) == pytest.approx(1000.0 / pause * sharing.COMPARED, rel=0.15)
    assert len(made) * seconds <= 1000.0 / sharing.COMPARED_PART
