"""Held over the whole suite: a law that is found has a text; a test draws the same alone."""

from zlib import crc32

import numpy as np
import pytest

from fastgrad.checks.diagnose.finding import Finding
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


@pytest.fixture(autouse=True)
def _draws_of_its_own(request):
    """What a test draws from its module's generator does not depend on which tests ran before it."""
    own = np.random.default_rng(crc32(request.node.name.encode())).bit_generator.state
    for value in vars(request.module).values() if request.module else ():
        if isinstance(value, np.random.Generator):
            value.bit_generator.state = own
