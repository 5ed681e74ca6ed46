"""The pose graph of ``fastgrad demo pose``: right, then with one frame confused, which is named."""

import fastgrad as fg
from fastgrad.commands.demos import pose as story


def test_the_frame_that_is_confused_is_named():
    poses, edges, measured = story.loop()
    space = fg.spaces.pose()
    given = poses, edges, measured
    assert fg.check_grad(story.loss, story.grad, *given, space=space, backend="python")
    report = fg.check_grad(story.loss, story.confused, *given, space=space, backend="python")
    assert report.verdict == "disagrees"
    assert report.diagnoses[0].law == "frame"
    assert "its rotation has the world's axes" in report.diagnoses[0].sentence
    assert report.entries[0].name.endswith(("wx", "wy", "wz"))


def test_descent_by_the_right_gradient_goes_to_the_noise():
    poses, edges, measured = story.loop()
    first = story.loss(poses, edges, measured)
    right, wrong = (
        story.loss(story.descended(gradient, poses, edges, measured), edges, measured)
        for gradient in (story.grad, story.confused)
    )
    assert right < 0.01 * first < wrong
