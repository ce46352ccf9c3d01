"""What curves say: falling, unsteady, useless."""

import numpy as np
import pytest

from skrnn._training.health import Yardstick, verdict_on

DOWN = np.linspace(0.9, 0.2, 20).tolist()
SWINGING = [0.9, 0.5, *[0.4, 0.8] * 9]

CURVES = {
    "still falls": (DOWN, True, "falling"),
    "fell": ([*DOWN, *[0.2] * 20], False, "fine"),
    "fell long ago": ([*DOWN, *[0.2] * 20], True, "fine"),
    "flat": ([1.0] * 20, False, "useless"),
    "hardly better": ([1.02, 0.995, 0.996], False, "useless"),
    "on its way from above": ([9.0, 5.0, 3.0], True, "falling"),
    "ends above its best": ([0.9, 0.3, 0.2, 0.4, 0.9], True, "rising"),
    "ends above all": ([0.86, 1.03, 4.5], True, "rising"),
    "swings": (SWINGING, True, "oscillating"),
    "swings, and stops": (SWINGING, False, "oscillating"),
    "swings little": ([*DOWN, *[0.21, 0.25] * 10], True, "fine"),
    "one epoch": ([0.5], True, "falling"),
    "one useless epoch": ([1.5], False, "useless"),
}


@pytest.mark.parametrize(("losses", "unfinished", "expected"), CURVES.values(), ids=CURVES)
def test_verdict(losses, unfinished, expected):
    assert verdict_on(losses, [0.5] * len(losses), unfinished=unfinished) == expected


def test_clipping_is_blamed_where_nearly_every_update_is_clipped():
    assert verdict_on(DOWN, [1.0] * 20, unfinished=True) == "clipped"
    assert verdict_on(DOWN, [], unfinished=True) == "falling"
    assert verdict_on([*DOWN, *[0.2] * 20], [1.0] * 40, unfinished=False) == "fine"


@pytest.mark.parametrize(
    ("yardstick", "loss", "expected"),
    [
        (Yardstick(0.5), 0.25, 0.5),
        (Yardstick(1.0, 0.8), 0.9, 0.5),
        (Yardstick(0.0), 3.0, 3.0),
        (Yardstick(np.inf), 3.0, 0.0),
    ],
)
def test_relative_losses(yardstick, loss, expected):
    assert yardstick.relative(loss) == pytest.approx(expected)
