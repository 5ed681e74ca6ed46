"""Documents as JUnit XML: a suite a document, a test case a part; what GitLab and Jenkins read."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from fastgrad.report.document import Case, Document
from fastgrad.report.escape import visible
from fastgrad.report.text import as_text


@dataclass(frozen=True)
class Suite:
    """What became of one target: a document, or why there is none."""

    name: str
    document: Document | None
    error: str = ""


def as_junit(suites: Sequence[Suite], allow_inconclusive: bool = False) -> str:
    """The XML of all suites.

    Parameters
    ----------
    allow_inconclusive : bool
        Whether what is inconclusive is skipped rather than failed.
    """
    root = ElementTree.Element("testsuites", name="fastgrad")
    for suite in suites:
        root.append(_suite(suite, allow_inconclusive))
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(element.get(name, 0)) for element in root)))
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _suite(suite: Suite, allow_inconclusive: bool) -> ElementTree.Element:
    made = ElementTree.Element("testsuite", name=visible(suite.name))
    if suite.document is None:
        case = ElementTree.SubElement(made, "testcase", name="check", classname=visible(suite.name))
        _say(ElementTree.SubElement(case, "error", type="could not be run"), suite.error)
    else:
        for part in suite.document.cases:
            made.append(_case(part, suite.name, allow_inconclusive))
        made.set("time", f"{suite.document.seconds:.3f}")
        out = ElementTree.SubElement(made, "system-out")
        out.text = "\n".join(map(visible, as_text(suite.document).split("\n")))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        made.set(name, str(len(made.findall(f"testcase/{tag}"))))
    made.set("tests", str(len(made.findall("testcase"))))
    return made


def _case(part: Case, suite: str, allow_inconclusive: bool) -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=visible(part.name), classname=visible(suite))
    if part.sentence == "not checked":
        _say(ElementTree.SubElement(case, "skipped"), part.sentence)
    elif part.verdict == "disagrees":
        _say(ElementTree.SubElement(case, "failure", type=part.verdict), part.sentence)
    elif part.verdict == "inconclusive":
        tag = "skipped" if allow_inconclusive else "failure"
        _say(ElementTree.SubElement(case, tag, type=part.verdict), part.sentence)
    return case


def _say(element: ElementTree.Element, text: str) -> None:
    element.set("message", visible(text))
    element.text = visible(text)
