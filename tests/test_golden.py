"""The comparison of golden reports sees what it is there to see."""

from itertools import islice

from tests.golden import checks, differences, reports


def test_two_runs_are_alike_and_a_changed_field_is_named():
    before, after = (reports(islice(checks(), 3)) for _ in range(2))
    assert list(differences(before, after)) == []
    name = next(iter(after))
    after[name]["evaluations"] += 1
    (line,) = differences(before, after)
    assert line.startswith(f"/{name}/evaluations: ")
