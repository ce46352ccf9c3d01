"""The loop: clipping, penalty, stopping and best weights, on functions whose course is known."""

import numpy as np
import pytest

from skrnn._optimizers import SGD
from skrnn._training import Descent, NotFiniteError, Patience, train


def descent(learning_rate=0.1, penalty=0.0, max_grad_norm=None, n=1):
    sgd = SGD(n, np.float64, learning_rate=learning_rate, momentum=0.0, nesterovs_momentum=False)
    return Descent(sgd, np.full(n, penalty), max_grad_norm)


def epochs_of(values):
    """Epochs of one batch with the given losses and a gradient of 1."""
    values = iter(values)

    def epoch():
        def loss_and_gradient(theta, gradient):
            gradient.fill(1.0)
            return next(values)

        yield 1, loss_and_gradient

    return epoch


def run(losses, *, tol=0.0, n_iter_no_change=3, scores=None, max_iter=None, theta=None):
    theta = np.zeros(1) if theta is None else theta
    scores = None if scores is None else iter(scores)
    history = train(
        theta,
        epochs_of(losses),
        descent(),
        Patience(tol, n_iter_no_change),
        max_iter=max_iter or len(losses),
        score=None if scores is None else lambda theta: next(scores),
    )
    return history, theta[0]


def test_stops_after_n_epochs_without_progress():
    history, _ = run([5, 4, 3, 3, 3, 3, 3, 3])
    assert history.losses == [5, 4, 3, 3, 3, 3] and history.stopped == "converged"


def test_progress_of_less_than_tol_does_not_count():
    history, _ = run([5, 4.9, 4.8, 4.7, 4.6], tol=1.0)
    assert len(history.losses) == 4


def test_runs_to_max_iter_while_the_loss_falls():
    history, _ = run([5, 4, 3, 2], max_iter=4)
    assert history.stopped == "max_iter" and len(history.losses) == 4


def test_last_weights_stay_without_a_score():
    _, theta = run([5, 4, 3, 9, 9, 9])
    assert theta == pytest.approx(-0.6)


def test_best_weights_are_restored_with_a_score():
    history, theta = run([1] * 9, scores=[0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert history.scores == [0.1, 0.5, 0.4, 0.3, 0.2]
    assert theta == pytest.approx(-0.2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("losses", [[], [1.0]])
def test_infinity_before_any_weights_are_proven_is_an_error_that_says_when(bad, losses):
    with pytest.raises(NotFiniteError) as caught:
        run([*losses, bad], max_iter=5)
    assert caught.value.args[0] == len(losses) + 1


def test_infinity_later_leaves_the_last_weights_whose_epoch_was_finite():
    history, theta = run([3, 2, 1, np.nan], max_iter=9)
    assert history.stopped == "not finite" and history.losses == [3, 2, 1]
    assert theta == pytest.approx(-0.2)  # those that the third epoch started from


def test_infinity_later_leaves_the_best_weights_with_a_score():
    _, theta = run([3, 2, 1, np.nan], scores=[0.9, 0.1, 0.1], max_iter=9)
    assert theta == pytest.approx(-0.1)


def test_weights_that_overflow_are_not_kept():
    theta = np.array([1.0])

    def epoch():
        def loss_and_gradient(theta, gradient):
            gradient.fill(-1e308)
            return 1.0

        yield 1, loss_and_gradient

    with pytest.raises(NotFiniteError), np.errstate(over="ignore"):
        train(theta, epoch, descent(learning_rate=1e3), Patience(0, 3), max_iter=1)


@pytest.mark.parametrize("bound", [None, 0.5, 100.0])
def test_clipping_bounds_the_norm_over_all_weights_and_keeps_the_direction(bound):
    theta, gradient = np.zeros(2), np.array([3.0, 4.0])
    _, norm = descent(1.0, max_grad_norm=bound, n=2).step(theta, gradient, 0.0)
    assert norm == pytest.approx(5)
    expected = 1 if bound is None else min(1, bound / 5)
    np.testing.assert_allclose(-theta, expected * np.array([3.0, 4.0]))


def test_norm_survives_gradients_whose_squares_overflow():
    theta, gradient = np.zeros(2), np.array([3e200, 4e200])
    _, norm = descent(1.0, max_grad_norm=1.0, n=2).step(theta, gradient, 0.0)
    assert norm == pytest.approx(5e200)
    np.testing.assert_allclose(-theta, [0.6, 0.8])


def test_penalty_is_the_gradient_of_its_part_of_the_loss(assert_gradient):
    at = np.array([1.0, -2.0, 3.0])

    def value(theta):
        return descent(penalty=0.3, n=3).step(theta.copy(), np.zeros(3), 0.0)[0]

    gradient = np.zeros(3)
    descent(penalty=0.3, n=3).step(at.copy(), gradient, 0.0)
    assert_gradient(value, at, gradient)


def test_epoch_loss_is_the_mean_over_rows_and_norm_that_over_batches():
    def epoch():
        for n, loss, slope in [(3, 1.0, 1.0), (1, 5.0, 3.0)]:

            def loss_and_gradient(theta, gradient, loss=loss, slope=slope):
                gradient.fill(slope)
                return loss

            yield n, loss_and_gradient

    history = train(np.zeros(1), epoch, descent(), Patience(0, 3), max_iter=1)
    assert history.losses == [2.0] and history.grad_norms == [2.0]
