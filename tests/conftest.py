"""Held over the whole suite: a law that is found has a text."""

import pytest

from fastgrad.checks.diagnose.evidence import Finding
from fastgrad.findings import Diagnosis
from fastgrad.report.vocabulary import parts, vocabulary


@pytest.fixture(autouse=True, scope="session")
def _every_law_has_a_text():
    """Whatever law a test brings about, `fastgrad explain` knows it."""
    found, told = Finding.__init__, Diagnosis.__init__

    def finding(self, words, *args, **fields):
        require_texts("+".join(words))
        found(self, words, *args, **fields)

    def diagnosis(self, block, law, *args, **fields):
        require_texts(law)
        told(self, block, law, *args, **fields)

    Finding.__init__, Diagnosis.__init__ = finding, diagnosis
    yield
    Finding.__init__, Diagnosis.__init__ = found, told


def require_texts(law):
    for word in parts(law):
        assert word in vocabulary(), f"{word!r} has no text in fastgrad/checks/diagnose/laws.toml"
