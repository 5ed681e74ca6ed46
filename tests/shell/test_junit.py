"""JUnit XML: what may stand where, by the schema that Jenkins and GitLab read, and what fails."""

from xml.etree import ElementTree

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.report.junit import Suite, as_junit

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set(),
}
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "testcase": {"name"},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase", "system-out"},
    "testcase": {"failure", "error", "skipped"},
}
"""What we write of junit-10.xsd of Jenkins's xunit plugin, which files of ours were validated with."""


def require_valid(element):
    assert set(element.attrib) <= ATTRIBUTES[element.tag]
    assert REQUIRED.get(element.tag, set()) <= set(element.attrib)
    for child in element:
        assert child.tag in CHILDREN.get(element.tag, set()), f"{child.tag} in {element.tag}"
        require_valid(child)


def of_blocks(p):
    return float(sum((block**2).sum() for block in p.values()))


def report(gradient, names=("w", "b"), **options):
    theta = {name: np.array([1.0, -2.0]) for name in names}
    return fg.check_grad(of_blocks, gradient, theta, backend="python", **options)


def right(p):
    return {name: 2 * block for name, block in p.items()}


def half_wrong(p):
    return {**right(p), next(iter(p)): np.zeros(2)}


def read(report, **options):
    text = as_junit([Suite("model.py:problem", report.document())], **options)
    root = ElementTree.fromstring(text)
    require_valid(root)
    return root


def test_a_case_a_block_and_what_is_wrong_fails():
    root = read(report(half_wrong))
    assert root.attrib == {"name": "fastgrad", "tests": "2", "failures": "1", "errors": "0"}
    (suite,) = root
    w, b = suite.findall("testcase")
    assert (w.get("name"), w.get("classname"), len(b)) == ("w", "model.py:problem", 0)
    assert "the analytic gradient is zero" in w.find("failure").get("message")
    assert suite.find("system-out").text.startswith("The gradient is wrong")
    assert float(suite.get("time")) >= 0


def test_a_right_gradient_fails_nothing():
    assert read(report(right)).get("failures") == "0"


def test_constants_are_skipped():
    suite = read(report(right, trainable="w"))[0]
    assert suite.get("skipped") == "1"


def test_every_point_has_its_cases():
    root = read(report(half_wrong, points=2))
    assert (root.get("tests"), root.get("failures")) == ("4", "2")


@pytest.mark.parametrize(("allowed", "expected"), [(False, "1"), (True, "0")])
def test_what_is_inconclusive_fails_unless_it_is_allowed(allowed, expected):
    unsure = fg.check_grad(
        lambda x: np.float64(np.float32(np.sin(3 * x[0]) + 1e5)),
        lambda x: 3 * np.cos(3 * x), np.array([0.3]), backend="python",
    )  # fmt: skip
    assert unsure.verdict == "inconclusive"
    assert read(unsure, allow_inconclusive=allowed).get("failures") == expected


def test_the_whole_fails_where_no_block_does():
    from dataclasses import replace

    wrong = replace(report(right), verdict="disagrees", strategy="screen", counts={})
    assert read(wrong)[0][0].get("name") == "the whole gradient"
    assert read(wrong).get("failures") == "1"


def test_what_could_not_be_run_is_an_error():
    root = ElementTree.fromstring(as_junit([Suite("a.py:b", None, "there is no file a.py")]))
    require_valid(root)
    assert root.get("errors") == "1"
    assert root[0][0][0].get("message") == "there is no file a.py"


def test_names_are_data():
    name = 'w<&>"]]>\x1b[2J\x00\u202e\n'
    root = read(report(half_wrong, names=(name, "b")))
    assert root[0][0].get("name") == 'w<&>"]]>\\x1b[2J\\x00\\u202e\\n'


def test_the_command_writes_it(check, folder):
    got = check("model.py:forgotten", "model.py:absent", "--junitxml", "junit.xml", "-q")
    assert got.exit_code == 2
    root = ElementTree.parse(folder / "junit.xml").getroot()
    require_valid(root)
    assert (root.get("failures"), root.get("errors")) == ("1", "1")
