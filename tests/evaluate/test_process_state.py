"""What a run leaves as it was: BLAS limits, random state, threads; and who may launch."""

import pickle
import random
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import threadpoolctl
from numba import njit

import fastgrad as fg
from fastgrad.errors import LossError
from fastgrad.evaluate import kernels, schedule
from fastgrad.evaluate.protocol import Inputs
from fastgrad.evaluate.python import PythonEvaluator
from fastgrad.parameters.layout import flatten
from tests.losses import (
    bought,
    by_object_mode,
    calls_parallel,
    evaluator_of,
    log_det,
    parallel_squares,
    picky,
    quadratic,
    rosenbrock,
    rosenbrock_grad,
    run_python,
    seeded,
    slow,
    steps_of,
)

rng = np.random.default_rng(0)
A = rng.normal(size=(40, 40))


@njit
def draw():
    return np.random.random()


def blas_threads():
    info = threadpoolctl.threadpool_info()
    return [library["num_threads"] for library in info if library["user_api"] == "blas"]


@pytest.fixture(autouse=True)
def kernels_at_once():
    """However small a problem is."""
    with bought():
        yield


@pytest.fixture
def three_blas_threads():
    """A limit that no machine has by itself, so that restoring it shows."""
    quadratic(np.ones(2), np.eye(2))  # loads numba's BLAS
    with threadpoolctl.threadpool_limits(3, "blas"):
        yield [3] * len(blas_threads())
        assert blas_threads() == [3] * len(blas_threads())


@pytest.fixture
def seen(monkeypatch):
    """Threads of BLAS during each launch of a kernel."""
    limits = []
    for name in ("coordinates_serial", "coordinates_parallel", "line_serial", "line_parallel"):
        kernel = getattr(kernels, name)

        def spy(*args, kernel=kernel):
            limits.append(set(blas_threads()))
            kernel(*args)

        monkeypatch.setattr(kernels, name, spy)
    return limits


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("loss", "arg"), [(quadratic, A), (log_det, A @ A.T + np.eye(40)), (by_object_mode, 1.0)]
)
def test_blas_has_one_thread_during_a_launch(loss, arg, threads, three_blas_threads, seen):
    run = evaluator_of(loss, np.ones(40), arg, threads=threads)
    run.coordinates(*steps_of(run))
    run.along(np.ones(40), np.ones(3))
    assert seen
    assert all(limit == {1} for limit in seen)
    assert blas_threads() == three_blas_threads


def test_blas_is_limited_and_restored_while_python_threads_launch_at_once(three_blas_threads, seen):
    """threadpoolctl's own limits race: four threads left BLAS at one for good."""
    start = threading.Barrier(4)

    def launch(k):
        run = evaluator_of(quadratic, np.full(40, float(k)), A, threads=1 + k % 2)
        start.wait()
        for _ in range(20):
            got = run.coordinates(*steps_of(run))
        return got

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(launch, range(4)))
    assert all(limit == {1} for limit in seen)
    assert blas_threads() == three_blas_threads
    for k in range(4):
        run = evaluator_of(quadratic, np.full(40, float(k)), A)
        np.testing.assert_array_equal(together[k], run.coordinates(*steps_of(run)))


@pytest.mark.parametrize("threads", [1, 2])
def test_blas_limits_are_restored_when_the_loss_raises(threads, three_blas_threads):
    run = evaluator_of(log_det, np.ones(40), -np.eye(40), threads=threads)
    assert np.isnan(run.coordinates(*steps_of(run))).all()
    assert blas_threads() == three_blas_threads
    with pytest.raises(LossError):
        run.value()
    assert blas_threads() == three_blas_threads


@pytest.mark.parametrize("threads", [1, 2])
def test_blas_limits_are_restored_after_an_interrupt(threads, three_blas_threads, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(kernels, "coordinates_serial", interrupted)
    monkeypatch.setattr(kernels, "coordinates_parallel", interrupted)
    run = evaluator_of(quadratic, np.ones(40), A, threads=threads)
    with pytest.raises(KeyboardInterrupt):
        run.coordinates(*steps_of(run))
    assert blas_threads() == three_blas_threads


@pytest.mark.parametrize(
    ("loss", "expected"),
    [(parallel_squares, lambda x: 2 * x), (calls_parallel, lambda x: 2 * x + np.eye(x.size)[0])],
)
def test_a_loss_that_launches_threads_runs_on_the_serial_kernel(loss, expected, seen, monkeypatch):
    def forbidden(*args):
        raise AssertionError("a parallel loss on the parallel kernel")

    monkeypatch.setattr(kernels, "coordinates_parallel", forbidden)
    x = rng.normal(size=30)
    run = evaluator_of(loss, x, threads=4)
    values = run.coordinates(*steps_of(run, 2.0**-17))
    got = (values[:, 0] - values[:, 1]) * 2.0**16
    np.testing.assert_allclose(got, expected(x), rtol=1e-8, atol=1e-8)


WORKQUEUE = """
import threading, warnings
import numba, numpy as np
import fastgrad as fg
from tests.losses import *

x = np.linspace(0.5, 1.5, 40)
answers = []

def call(k):
    loss = (parallel_squares, calls_parallel, rosenbrock, log_sum_exp)[k % 4]
    run = evaluator_of(loss, x, threads=2)
    start.wait()
    for _ in range(10):
        run.coordinates(*steps_of(run))
    answers.append((k, fg.grad(loss)(x)))

start = threading.Barrier(8)
threads = [threading.Thread(target=call, args=(k,)) for k in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(answers) == 8
for k, got in answers:
    expected = (2 * x, 2 * x + np.eye(40)[0], rosenbrock_grad(x), log_sum_exp_grad(x))[k % 4]
    assert np.allclose(got, expected, rtol=1e-7, atol=1e-7), (k, got - expected)
print(numba.threading_layer())
"""


@pytest.mark.parametrize("layer", ["workqueue", numba.config.THREADING_LAYER])
def test_python_threads_that_launch_at_once(layer):
    """workqueue aborts the process on two launches at once, also by losses."""
    got = run_python(WORKQUEUE, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert got.strip() == "workqueue" or layer != "workqueue"


FORK = """
import os, warnings
import numpy as np
import fastgrad as fg
from tests.losses import *

warnings.simplefilter("ignore", DeprecationWarning)  # Python's own word on forks of threads
x = np.linspace(0.5, 1.5, 40)
run = evaluator_of(rosenbrock, x, threads=2)
before = run.coordinates(*steps_of(run))
child = os.fork()
if child == 0:
    ok = np.array_equal(evaluator_of(rosenbrock, x).coordinates(*steps_of(run)), before)
    ok &= np.allclose(fg.grad(slow)(x, 100000), fg.grad(slow, backend="python")(x, 100000))
    try:
        fg.grad(parallel_squares)(x)
    except RuntimeError as error:
        ok &= "forked" in str(error)
    os._exit(0 if ok else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_a_fork_after_a_launch():
    """GNU OpenMP ends a forked child at its first launch."""
    assert run_python(FORK, NUMBA_NUM_THREADS="2").strip() == "0"


def state_of_the_process():
    np_state = np.random.get_state()
    return numba.get_num_threads(), blas_threads(), np_state[1].tobytes(), np_state[2:]


@pytest.fixture
def launched(monkeypatch):
    """Evaluations of each launch."""
    sizes = []
    for name in ("coordinates_serial", "coordinates_parallel"):
        kernel = getattr(kernels, name)

        def spy(*args, kernel=kernel):
            start, stop = args[8:10]
            sizes.append(stop - start)
            kernel(*args)

        monkeypatch.setattr(kernels, name, spy)
    return sizes


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["compiled", "python"])
def test_an_interrupt_is_answered_and_leaves_nothing_behind(
    threads, backend, three_blas_threads, launched
):
    theta, args = np.linspace(0.1, 1, 50_000), (3_000,)
    if backend == "python":
        layout, flat = flatten(theta)
        run = PythonEvaluator(slow, Inputs(layout, flat, args))
    else:
        run = evaluator_of(slow, theta, *args, threads=threads)
    run.coordinates(np.arange(2), np.ones((2, 1)))
    before, made_by_then = state_of_the_process(), []
    slabs = []
    run.advance = slabs.append

    def interrupt():
        made_by_then.append(run.evaluations)
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.3, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt) as info:
        run.coordinates(*steps_of(run))
    timer.join()
    assert info.value.__cause__ is None
    assert run.evaluations - made_by_then[0] <= max(2 * max(slabs), 1000)
    assert run.evaluations < 100_000
    assert max(launched, default=0) < 100_000 / 3  # so that a launch is soon over
    assert state_of_the_process() == before


COUNT = [0]


def press(x):
    COUNT[0] += 1
    if COUNT[0] == 7:
        signal.raise_signal(signal.SIGINT)
    return float(x.sum())


@njit
def presses(x):
    with numba.objmode(value="float64"):
        value = press(x)
    return value  # noqa: RET504 - objmode needs the name


def test_an_interrupt_in_object_mode_is_an_interrupt():
    run = evaluator_of(presses, np.ones(20))
    COUNT[0] = 0
    with pytest.raises(KeyboardInterrupt):
        run.coordinates(*steps_of(run))


@pytest.mark.parametrize("threads", [1, 2])
def test_seeding_in_the_loss_leaves_numbas_random_state(threads):
    @njit
    def seed():
        np.random.seed(5)

    seed()
    expected = [draw(), draw()]
    seed()
    got = [draw()]
    run = evaluator_of(seeded, np.ones(50), 1, threads=threads)
    run.coordinates(*steps_of(run))
    assert [*got, draw()] == expected


def test_the_python_backend_leaves_the_random_state():
    def loss(x):
        np.random.seed(3)
        return float((x * x).sum() * np.random.random())

    np.random.seed(0)
    expected = np.random.random(3)
    np.random.seed(0)
    first = np.random.random()
    fg.grad(loss, backend="python")(np.ones(4))
    np.testing.assert_array_equal([first, *np.random.random(2)], expected)


DRAWS = {
    "uniform": np.random.random,
    "normal": np.random.standard_normal,
    "seed": lambda: np.random.seed(5),
    "python": random.random,
}


@pytest.mark.parametrize("kind", ["as it is", "a normal number waits", "another kind"])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_what_a_python_loss_draws_is_put_back(draw, kind):
    """One of two normal numbers that are made together is drawn without a word being used."""

    def loss(x):
        draw()
        return float((x * x).sum())

    def state():
        return pickle.dumps((np.random.get_state(legacy=False), random.getstate()))

    ours = np.random.get_bit_generator()
    np.random.seed(0)
    if kind == "a normal number waits":
        np.random.standard_normal()
    elif kind == "another kind":
        if draw is DRAWS["seed"]:
            pytest.skip("it takes no such seed")
        np.random.set_bit_generator(np.random.PCG64(1))
    try:
        expected = state()
        for _ in range(2):
            fg.grad(loss, backend="python")(np.ones(3))
            assert state() == expected
    finally:
        np.random.set_bit_generator(ours)


def test_the_gil_is_free_while_a_kernel_runs(monkeypatch):
    """Counted within one launch, during which a thread that held the GIL would let nobody count."""
    monkeypatch.setattr(schedule, "SLAB_SECONDS", 10.0)
    monkeypatch.setattr(schedule, "FIRST_SLAB_SECONDS", 10.0)
    run = evaluator_of(slow, np.ones(200), 100_000, threads=1)
    run.value()
    stop, counted, during = threading.Event(), [0], []

    def count():
        while not stop.is_set():
            counted[0] += 1

    kernel = kernels.coordinates_serial

    def spy(*args):
        before = counted[0]
        kernel(*args)
        during.append(counted[0] - before)

    monkeypatch.setattr(kernels, "coordinates_serial", spy)
    thread = threading.Thread(target=count)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # else a thread may count on before the kernel gets to run
    try:
        thread.start()
        run.coordinates(np.arange(200), np.ones((200, 1)))
    finally:
        stop.set()
        sys.setswitchinterval(before)
        thread.join()
    assert len(during) == 1
    assert during[0] > 100_000


def test_progress_shows_a_bar_on_stderr(capsys):
    fg.grad(rosenbrock, progress=True)(np.ones(10))
    captured = capsys.readouterr()
    assert "20/20" in captured.err
    assert captured.out == ""


def test_progress_counts_every_evaluation():
    run = evaluator_of(rosenbrock, np.ones(100), threads=2)
    made = []
    run.advance = made.append
    run.coordinates(*steps_of(run))
    assert sum(made) == run.evaluations == 200


def test_rosenbrock_gradient_is_what_the_subprocesses_expect():
    x = np.linspace(0.5, 1.5, 40)
    np.testing.assert_allclose(fg.grad(rosenbrock)(x), rosenbrock_grad(x), rtol=1e-7, atol=1e-7)
    assert picky(x, 2.0) == pytest.approx((x * x).sum())


STARTED = """
import threading
from fastgrad.evaluate.process import parallel_launch, threading_layer

assert threading_layer() is None
start, seen = threading.Barrier(8), []

def launch():
    start.wait()
    with parallel_launch():
        seen.append(threading_layer())

threads = [threading.Thread(target=launch) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert None not in seen and len(seen) == 8
"""


def test_numba_starts_its_threads_before_anything_is_launched():
    """A parallel kernel that is loaded before was seen to end the process."""
    run_python(STARTED, NUMBA_NUM_THREADS="2")


FIRST_CALLS = """
import threading
import numpy as np
from numba import njit
import fastgrad as fg
from tests.losses import parallel_squares, rosenbrock, rosenbrock_grad

def plain(k):
    return lambda x: (k + 1.0) * (x * x).sum()

def looped(k):
    @njit
    def loss(x):
        total = 0.0
        for i in range(x.size):
            total += (k + 1.0) * np.sin(x[i])
        return total
    return loss

X = np.linspace(0.5, 1.5, 3000)
LOSSES = [
    (rosenbrock, rosenbrock_grad(X)),  # in the disk's cache, and so are the kernels
    (parallel_squares, 2 * X),  # with threads of its own
    *((plain(k), 2 * (k + 1) * X) for k in range(3)),
    *((looped(k), (k + 1) * np.cos(X)) for k in range(3)),
]
together, got = threading.Barrier(len(LOSSES)), {}

def first(k):
    together.wait()
    got[k] = fg.grad(LOSSES[k][0])(X)

threads = [threading.Thread(target=first, args=(k,)) for k in range(len(LOSSES))]
[t.start() for t in threads]
[t.join() for t in threads]
for k, (_, expected) in enumerate(LOSSES):
    np.testing.assert_allclose(got[k], expected, rtol=1e-5, atol=1e-4)
print("right")
"""


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_eight_threads_of_python_make_their_first_calls_at_once(layer):
    """Twenty processes; parallel kernels come from the cache while other threads link their own code."""
    options = {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    for _ in range(10):
        assert run_python(FIRST_CALLS, **options).strip() == "right"


LONG = """
import _thread, os, threading, time
import numpy as np
from numba import njit
import fastgrad as fg

@njit
def long(x, rounds):
    total = 0.0
    for k in range(int(rounds[0])):
        total += np.sin(x[0] + k)
    return total

rounds = np.array([1e12])
g = fg.grad(long)

def left():
    return any(t.name == "fastgrad evaluation" for t in threading.enumerate())

def interrupt():
    while not left():
        time.sleep(0.1)
    _thread.interrupt_main()
threading.Thread(target=interrupt, daemon=True).start()
try:
    CALL
except KeyboardInterrupt as error:
    assert "a thread is left behind" in str(error), error
    assert left()
    slopes = g(np.zeros(2), np.ones(1))
    assert np.allclose(slopes, [1, 0]), slopes
    print("interrupted", flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(
    "call",
    ["g(np.ones(2), rounds)", "fg.check_grad(long, np.zeros(2), np.ones(2), rounds)"],
)
def test_an_evaluation_of_hours_is_left_behind_by_a_ctrl_c(call):
    """Another thread interrupts it: what waits for compiled code would wait for hours."""
    assert "interrupted" in run_python(LONG.replace("CALL", call))
