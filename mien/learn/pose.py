"""Which way a head looks, from its contour points, and the three-dimensional mean face that this takes.

Nobody labels angles: the mean face is found from many labelled contours alone (structure from motion by factorisation,
Tomasi and Kanade 1992, with the scaled orthographic constraints of Poelman and Kanade 1997).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import DataError
from mien.learn.attribute_targets import MIRRORED_POINTS

_NOSE_TIP, _NOSE_TOP, _CHIN = 30, 27, 8
MIN_FACES = 20


def mean_face(contours: NDArray[np.floating]) -> NDArray[np.float32]:
    """The rigid face behind many contours (F, 68, 2): (68, 3), centred, of unit size, symmetric.

    x points to the picture's right of a face seen from the front, y down, z away from the camera; the face looks as level as
    the median of the contours. Raises `DataError` for fewer than `MIN_FACES` contours.
    """
    if len(contours) < MIN_FACES:
        raise DataError(f"pose: expected at least {MIN_FACES} faces with 68 points, got {len(contours)}")
    both = np.concatenate([contours, contours[:, MIRRORED_POINTS] * [-1, 1]]).astype(np.float64)
    centred = both - both.mean(1, keepdims=True)
    centred /= np.sqrt((centred**2).mean((1, 2), keepdims=True))
    motion, sizes, shape = np.linalg.svd(centred.transpose(0, 2, 1).reshape(-1, both.shape[1]), full_matrices=False)
    motion, shape = (motion[:, :3] * sizes[:3]).reshape(-1, 2, 3), shape[:3]
    metric = _metric(motion)
    values, vectors = np.linalg.eigh(metric)
    root = vectors * np.sqrt(np.maximum(values, 1e-9 * values.max()))
    points = _upright(np.linalg.solve(root, shape).T)
    pitch = head_pose(torch.from_numpy(both), lift_of(torch.from_numpy(points)))[:, 1].median().item()
    return _nodded(points, pitch).astype(np.float32)


def _metric(motion: NDArray[np.float64]) -> NDArray[np.float64]:
    """The symmetric Q with m1 Q m1 = m2 Q m2 and m1 Q m2 = 0 for the two rows m1, m2 of every camera."""

    def products(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        pairs = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]
        return np.stack([a[:, i] * b[:, j] + (a[:, j] * b[:, i] if i != j else 0) for i, j in pairs], axis=1)

    one, two = motion[:, 0], motion[:, 1]
    rows = np.concatenate([products(one, one) - products(two, two), products(one, two)])
    scale = (products(one, one) + products(two, two)).mean(0, keepdims=True)  # fixes the size
    system = np.concatenate([rows, scale * len(rows)])
    wanted = np.zeros(len(system))
    wanted[-1] = len(rows)
    q = np.linalg.lstsq(system, wanted, rcond=None)[0]
    metric = np.array([[q[0], q[3], q[4]], [q[3], q[1], q[5]], [q[4], q[5], q[2]]])
    return metric if np.trace(metric) > 0 else -metric


def _upright(points: NDArray[np.float64]) -> NDArray[np.float64]:
    x = np.linalg.svd(points - points[MIRRORED_POINTS])[2][0]
    x *= np.sign((points[45] - points[36]) @ x)
    y = points[_CHIN] - points[_NOSE_TOP]
    y -= x * (x @ y)
    y /= np.linalg.norm(y)
    z = np.cross(x, y)
    turned = points @ np.stack([x, y, z], axis=1)
    if turned[_NOSE_TIP, 2] > turned[_NOSE_TOP, 2]:  # seen from behind: depth of an orthographic view has no sign
        turned[:, 2] *= -1
    turned = (turned + turned[MIRRORED_POINTS] * [-1, 1, 1]) / 2
    turned -= turned.mean(0)
    return turned / np.sqrt((turned**2).sum(1).mean())


def _nodded(points: NDArray[np.float64], angle_deg: float) -> NDArray[np.float64]:
    """The face whose level look is where this one looks up by an angle."""
    sine, cosine = np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))
    return points @ np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def lift_of(face: Tensor) -> Tensor:
    """What takes contours to a camera's axes, (68, 3), for a mean face (68, 3)."""
    return torch.linalg.pinv(face).T


def head_pose(points: Tensor, lift: Tensor) -> Tensor:
    """Yaw, pitch and roll in degrees, (N, 3), of contours (N, 68, 2); ``lift`` is (68, 3) from `lift_of`.

    Yaw is positive when the head turns to the subject's left, pitch when it looks up, roll when it leans to the subject's
    left shoulder (clockwise in the picture).
    """
    centred = points - points.mean(1, keepdim=True)
    camera = centred.transpose(1, 2) @ lift
    right = camera[:, 0] / camera[:, 0].norm(dim=1, keepdim=True).clamp(1e-6)
    down = camera[:, 1] - (camera[:, 1] * right).sum(1, keepdim=True) * right
    down = down / down.norm(dim=1, keepdim=True).clamp(1e-6)
    depth = torch.stack(
        [
            right[:, 1] * down[:, 2] - right[:, 2] * down[:, 1],
            right[:, 2] * down[:, 0] - right[:, 0] * down[:, 2],
            right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0],
        ],
        1,
    )
    ahead = torch.stack([-right[:, 2], -down[:, 2], -depth[:, 2]], 1)  # where the nose points, in the camera's axes
    roll = torch.atan2(down[:, 0], right[:, 0])
    side = ahead[:, 0] * roll.cos() + ahead[:, 1] * roll.sin()
    under = ahead[:, 1] * roll.cos() - ahead[:, 0] * roll.sin()
    yaw = torch.atan2(side, -ahead[:, 2])
    pitch = torch.atan2(-under, (side.square() + ahead[:, 2].square()).sqrt())
    return torch.rad2deg(torch.stack([yaw, pitch, roll], 1))
