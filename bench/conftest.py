"""``pytest bench --quick``: every rival once on what is small, no time measured."""

import os

import numba
import pytest

from bench.rivals import version

PACKAGES = (
    *("numpy", "numba", "scipy", "statsmodels", "numdifftools", "jacobi", "optimagic"),
    *("torch", "jax", "autograd"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small problems, once, nothing timed")
    parser.addoption("--checker", help="module:function to send through the museum")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        config.option.benchmark_disable = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:  # what a rival warns of is no error of ours
        if "bench" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config, machine_info) -> None:
    machine_info["versions"] = {package: version(package) for package in PACKAGES}
    machine_info["threads"] = numba.get_num_threads()
    machine_info["load"] = os.getloadavg()[0]


@pytest.fixture
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))
