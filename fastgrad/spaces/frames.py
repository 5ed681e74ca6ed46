"""Readings of gradients by coordinates of a rotation or a pose: in another frame, order or unit."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgrad.arrays import Floats
from fastgrad.spaces.charts import Reading

Map = Callable[[Floats], Floats]

ROTATION, POSE = 3, 6
"""Coordinates of a rotation, and of a pose."""
ORTHOGONAL = 1e-3
"""How nearly three by three numbers are a rotation's."""

ALL_OF_IT = "read so, all of it agrees"


def of_frames(chart: Any, slopes: Floats) -> Iterator[Reading]:
    """The slopes of a block whose coordinates are three or six a point, read otherwise."""
    shape = chart.shape
    if not shape or shape[-1] not in (ROTATION, POSE):
        return
    a = slopes.reshape(*shape[:-1], shape[-1])
    R = rotation_in(chart)
    maps: list[tuple[str, str, Map]] = []
    if shape[-1] == POSE:
        halves = (
            "its halves are exchanged: v before w where the space has w before v, or the reverse"
        )
        maps.append(("exchanged-halves", halves, lambda a: np.roll(a, 3, axis=-1)))
    if R is not None:
        maps += _in_frames(R, shape[-1], chart)
    degrees = (
        ("degrees", "it is by degrees, not radians", 180 / np.pi),
        ("degrees", "it is by radians where the space has degrees", np.pi / 180),
    )
    for word, said, factor in degrees:
        for part in _angular(shape[-1]):
            yield _scaled(word, said, a, (part, factor))
    for word, said, map_ in maps:
        yield Reading(word, f"{said}: {ALL_OF_IT}", map_(a).reshape(-1))


def _angular(width: int) -> list[slice]:
    return [slice(None)] if width == ROTATION else [slice(0, 3), slice(3, 6)]


def _scaled(word: str, said: str, a: Floats, how: tuple[slice, float]) -> Reading:
    part, factor = how
    values = a.copy()
    values[..., part] *= factor
    return Reading(word, f"{said}: {ALL_OF_IT}", values.reshape(-1), {"factor": 1 / factor})


def rotation_in(chart: Any) -> Any:
    """The rotations of a point, shape (..., 3, 3), as far as it shows any."""
    known = getattr(chart.space, "rotations_at", None)
    if known is not None:
        return known(chart.base)
    array = chart.array
    if array is None or array.ndim != 2 or array.shape[0] not in (3, 4):
        return None
    R = np.asarray(array[:3, :3], np.float64)
    if R.shape != (3, 3) or not np.allclose(R.T @ R, np.eye(3), atol=ORTHOGONAL):
        return None
    return R


def translation_in(chart: Any) -> Any:
    """The translations of a pose, shape (..., 3)."""
    known = getattr(chart.space, "translations_at", None)
    if known is not None:
        return known(chart.base)
    array = chart.array
    return array[:3, 3] if array is not None and array.shape == (4, 4) else None


def _turned(R: Any, a: Floats) -> Floats:
    return np.asarray(np.einsum("...ij,...j->...i", R, a))


def _in_frames(R: Any, width: int, chart: Any) -> list[tuple[str, str, Map]]:
    """Gradients in the world's frame for the body's, and the reverse."""
    Rt = np.swapaxes(R, -1, -2)
    body = (
        "frame",
        "it is in the world's frame (left) where the space has the body's (right)",
    )
    world = (
        "frame",
        "it is in the body's frame (right) where the space has the world's (left)",
    )
    if width == ROTATION:
        return [
            (*body, lambda a: _turned(Rt, a)),
            (*world, lambda a: _turned(R, a)),
            *_twice(R, Rt),
        ]
    t = translation_in(chart)
    orders = [order] if (order := order_of(chart.space)) else ["wv", "vw"]
    return [found for order in orders for found in _of_poses(R, t, order, (body, world))]


def order_of(space: Any) -> str | None:
    """Which of rotation and translation comes first: by what the space says, or by its names."""
    known: str | None = getattr(space, "order", None)
    first = str((space.names or [""])[0])[:1]
    return known or {"w": "wv", "v": "vw"}.get(first)


def _of_poses(
    R: Any, t: Any, order: str, frames: tuple[tuple[str, str], tuple[str, str]]
) -> list[tuple[str, str, Map]]:
    """Gradients by a pose in other frames, as a whole or half of them."""
    Rt = np.swapaxes(R, -1, -2)
    body, world = frames
    w = slice(0, 3) if order == "wv" else slice(3, 6)
    v = slice(3, 6) if order == "wv" else slice(0, 3)

    def blocks(first: Map, second: Map) -> Map:
        def mapped(a: Floats) -> Floats:
            found = a.copy()
            found[..., w], found[..., v] = first(a[..., w]), second(a[..., v])
            return found

        return mapped

    def same(a: Floats) -> Floats:
        return a

    def turn(M: Any) -> Map:
        return lambda a: _turned(M, a)

    maps: list[tuple[str, str, Map]] = []
    if t is not None:
        cross = np.cross

        def to_body(a: Floats) -> Floats:  # Ad^T of a world gradient
            found = a.copy()
            found[..., w] = _turned(Rt, a[..., w] + cross(a[..., v], t))
            found[..., v] = _turned(Rt, a[..., v])
            return found

        def to_world(a: Floats) -> Floats:
            found = a.copy()
            found[..., v] = _turned(R, a[..., v])
            found[..., w] = _turned(R, a[..., w]) + cross(t, found[..., v])
            return found

        maps += [(*body, to_body), (*world, to_world)]
    both = "its axes are the world's where the space has the body's, or the reverse"
    part = "its {} has the world's axes where the space has the body's, or the reverse"
    for M in (Rt, R):
        maps += [
            ("frame", both, blocks(turn(M), turn(M))),
            ("frame", part.format("translation"), blocks(same, turn(M))),
            ("frame", part.format("rotation"), blocks(turn(M), same)),
        ]
    return maps


def _twice(R: Any, Rt: Any) -> list[tuple[str, str, Map]]:
    said = "it was turned into its frame by the transposed rotation"
    return [
        ("frame", said, lambda a: _turned(Rt, _turned(Rt, a))),
        ("frame", said, lambda a: _turned(R, _turned(R, a))),
    ]
