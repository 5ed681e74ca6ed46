"""A pose graph: a robot drives a loop, and the gradient by its poses has one frame confused."""

from collections.abc import Callable

from fastgrad.arrays import Array, Floats
from fastgrad.checking import check_grad
from fastgrad.commands.demos.pose_graph import POSES, grad, loop, loss, turned
from fastgrad.spaces import pose

RATE, STEPS = 0.02, 500
TEACHES = (
    "Half of a gradient may be in another frame than the update T Exp(v) that it is for, and descent "
    "goes astray. Say where theta lives (space=), and the frame is named."
)


def run(say: Callable[[str], object]) -> None:
    """Check a right gradient and one in two frames, and descend by both."""
    poses, edges, measured = loop()
    say(
        f"A loop of {POSES} poses, {len(edges)} relative poses measured between them, "
        f"{6 * POSES} coordinates; loss and gradient by hand, called with 4 x 4 matrices.\n"
    )
    for k, (what, gradient) in enumerate((("The right one", grad), ("In two frames", confused)), 1):
        say(f"{k}. {what}:\n")
        say(str(check_grad(loss, gradient, poses, edges, measured, space=pose())))
    say(f"3. {STEPS} steps of descent along each:\n")
    say(f"   at the first guess  {loss(poses, edges, measured):10.6f}")
    for what, gradient in (("by the right one", grad), ("by the other", confused)):
        reached = loss(descended(gradient, poses, edges, measured), edges, measured)
        say(f"   {what:<18}  {reached:10.6f}")


def confused(T: Floats, edges: Array, measured: Floats) -> Floats:
    """The gradient with the rotations about the world's axes, the translations along the body's."""
    g = grad(T, edges, measured)
    g[:, :3] = turned(T[:, :3, :3], g[:, :3])
    return g


def descended(gradient: Callable[..., Floats], T: Floats, edges: Array, measured: Floats) -> Floats:
    """Poses after some steps along a gradient, each kept on the set by the retraction."""
    move = pose().retract
    for _ in range(STEPS):
        T = move(T, -RATE * gradient(T, edges, measured))
    return T
