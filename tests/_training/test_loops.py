"""The loops: clipping, penalty, stopping and best weights, on functions whose course is known."""

import signal
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize

from _factories import Silence
from skrnn._parallel.host import computing, interrupts
from skrnn._training.early_stopping import EarlyStopping
from skrnn._training.health import Yardstick
from skrnn._training.loops import (
    DivergedError,
    NotFiniteError,
    PenalizedObjective,
    Trainer,
    Updater,
    Validation,
    minimize,
)
from skrnn._training.optimizers import SGD
from skrnn._training.schedules import SCHEDULES, Schedule


class Recorder(Silence):
    """Sees every loss; stops training after so many, if a number is given."""

    def __init__(self, stop_after=None):
        self.seen, self.stop_after = [], stop_after

    def end_epoch(self, history, theta):
        self.seen.append(history.losses[-1])
        return len(self.seen) == self.stop_after


class Batch(NamedTuple):
    """A batch that brings its own loss, a function of (theta, gradient)."""

    total: float
    loss_and_gradient: Callable


def objective(theta, gradient, batch):
    return batch.loss_and_gradient(theta, gradient)


def make_updater(learning_rate=0.1, penalty=0.0, max_grad_norm=None, n=1, schedule="constant"):
    sgd = SGD(n, np.float64, momentum=0.0, nesterovs_momentum=False)
    schedule = SCHEDULES[schedule](learning_rate_init=learning_rate)
    return Updater(sgd, schedule, np.full(n, penalty), max_grad_norm)


def epochs_of(values):
    """Epochs of one batch with the given losses and a gradient of 1."""
    values = iter(values)

    def epoch():
        def loss_and_gradient(theta, gradient):
            gradient.fill(1.0)
            return next(values)

        yield Batch(1, loss_and_gradient)

    return epoch


def train(theta, epochs, stopping, *, updater=None, max_iter=9, monitor=None, probe=None, **given):
    """Train where a constant prediction has the loss `constant`, by default 10."""
    scores, constant = given.pop("scores", None), given.pop("constant", 10.0)
    validation = None
    if scores is not None:
        scores, stops = iter(scores), given.pop("stops", True)
        validation = Validation(lambda theta: (-1.0, next(scores)), stops, Yardstick(1.0))
    updater, monitor = updater or make_updater(), monitor or Silence()
    rest = updater, stopping, monitor, Yardstick(constant), validation
    return Trainer(theta, objective, *rest, **given).run(epochs, max_iter, probe)


def train_simply(theta, epochs, **given):
    return train(theta, epochs, EarlyStopping(0, 3), **given)


def run(losses, *, tol=0.0, n_iter_no_change=3, max_iter=None, **given):
    theta, stopping = np.zeros(1), EarlyStopping(tol, n_iter_no_change)
    max_iter = max_iter or len(losses)
    return train(theta, epochs_of(losses), stopping, max_iter=max_iter, **given), theta[0]


def test_stops_after_n_epochs_without_progress():
    history, _ = run([5, 4, 3, 3, 3, 3, 3, 3])
    assert history.losses == [5, 4, 3, 3, 3, 3] and history.stopped == "converged"


def test_progress_of_less_than_tol_does_not_count():
    history, _ = run([5, 4.9, 4.8, 4.7, 4.6], tol=1.0)
    assert len(history.losses) == 4


def test_runs_to_max_iter_while_the_loss_falls():
    history, _ = run([5, 4, 3, 2], max_iter=4)
    assert history.stopped == "max_iter" and len(history.losses) == 4


@pytest.mark.parametrize("by_score", [False, True])
def test_adaptive_rate_is_divided_by_5_whenever_training_would_stop(by_score):
    figures = [5, 4, 4, 4, 3, 3, 3, 3, 3, 3]
    scores = [-figure for figure in figures] if by_score else None
    updater = make_updater(schedule="adaptive")
    history, _ = run(figures, n_iter_no_change=2, scores=scores, updater=updater)
    assert history.stopped == "max_iter" and len(history.losses) == 10
    assert updater.schedule.divisions == 3  # after epochs 4, 7 and 9
    _, theta = run(figures, n_iter_no_change=2, updater=make_updater(schedule="adaptive"))
    assert theta == pytest.approx(-0.1 * (4 + 3 / 5 + 2 / 25 + 1 / 125))


def test_adaptive_stops_when_the_rate_is_too_small_to_divide():
    updater = make_updater(4e-6, schedule="adaptive")
    history, _ = run([1.0] * 20, n_iter_no_change=3, updater=updater)
    assert history.stopped == "converged" and len(history.losses) == 1 + 3 + 3
    assert updater.schedule.rate() == pytest.approx(8e-7)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_counts_the_epochs_that_ended(name):
    settings = {"learning_rate_init": 0.1, "power_t": 0.5, "max_iter": 9}
    kind = SCHEDULES[name]
    schedule = kind(**{name: settings[name] for name in kind.settings})
    updater = make_updater()
    updater.schedule = schedule
    _, theta = run([4, 3, 2, np.nan], max_iter=9, updater=updater)
    assert schedule.epochs == 3
    first = kind(**{name: settings[name] for name in kind.settings})
    assert first.rate() == 0.1
    first.epochs = 1
    assert theta == pytest.approx(-(0.1 + first.rate()))  # the third epoch started from there


def test_end_epoch_of_the_schedule_is_called_after_every_epoch():
    class Halving(Schedule):
        """Knows no epochs, and lives by the calls alone."""

        def __init__(self, **settings):
            self.current = settings["learning_rate_init"]

        def rate(self):
            return self.current

        def end_epoch(self):
            self.current /= 2

    updater = make_updater()
    updater.schedule = Halving(learning_rate_init=0.1)
    _, theta = run([4, 3, 2], updater=updater)
    assert theta == pytest.approx(-(0.1 + 0.05 + 0.025))
    assert updater.schedule.current == 0.1 / 8


def test_last_weights_stay_without_a_score():
    _, theta = run([5, 4, 3, 9, 9, 9])
    assert theta == pytest.approx(-0.6)


def test_best_weights_are_restored_with_a_score():
    history, theta = run([1] * 9, scores=[0.1, 0.5, 0.4, 0.3, 0.2, 0.1])
    assert history.scores == [0.1, 0.5, 0.4, 0.3, 0.2]
    assert theta == pytest.approx(-0.2)


def test_a_validation_part_that_does_not_stop_training_is_written_down_alone():
    history, theta = run([5, 4, 3], scores=[0.3, 0.9, 0.1], stops=False)
    assert history.scores == [0.3, 0.9, 0.1] and history.validation_losses == [-1.0] * 3
    assert history.stopped == "max_iter" and history.best is None
    assert theta == pytest.approx(-0.3)


def test_a_resumed_training_returns_to_its_start_if_no_epoch_is_better():
    history, theta = run([1] * 9, scores=[0.6, 0.5, 0.4, 0.3], resumed=True)
    assert theta == 0 and history.best == 0 and history.best_score == 0.6
    assert history.scores == [0.5, 0.4, 0.3] and history.stopped == "early_stopping"
    history, theta = run([1] * 9, scores=[0.6, 0.5, 0.7, 0.3, 0.3, 0.3], resumed=True)
    assert theta == pytest.approx(-0.2) and history.best == 2 and history.best_score == 0.7


# Training that diverges ------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("losses", [[], [1.0], [12.0, 11.0]])
def test_infinity_before_an_epoch_was_better_than_a_constant_is_an_error(bad, losses):
    """The first epoch proves nothing: it starts from weights that were not trained."""
    with pytest.raises(DivergedError) as caught:
        run([*losses, bad], max_iter=5)
    assert caught.value.args == (len(losses) + 1, False)


def test_infinity_later_leaves_the_weights_of_the_best_epoch():
    history, theta = run([3, 2, 1, 4, np.nan], max_iter=9)
    assert history.stopped == "diverged" and history.losses == [3, 2, 1, 4]
    assert theta == pytest.approx(-0.2)  # those that the third epoch started from


def test_infinity_later_leaves_the_best_weights_with_a_score():
    _, theta = run([3, 2, 1, np.nan], scores=[0.9, 0.1, 0.1], max_iter=9)
    assert theta == pytest.approx(-0.1)


def test_a_loss_far_above_that_of_a_constant_is_no_success():
    history, theta = run([3, 2, 1, 40, 500], max_iter=5)
    assert history.stopped == "diverged" and theta == pytest.approx(-0.2)
    with pytest.raises(DivergedError) as caught:
        run([30, 20, 40, 500], max_iter=4)
    assert caught.value.args == (4, True)


def test_a_loss_that_still_falls_may_be_large():
    history, _ = run([9e3, 8e3, 7e3])
    assert history.stopped == "max_iter"


def test_weights_that_overflow_are_not_kept():
    theta = np.array([1.0])

    def epoch():
        def loss_and_gradient(theta, gradient):
            gradient.fill(-1e308)
            return 1.0

        yield Batch(1, loss_and_gradient)

    with pytest.raises(DivergedError), np.errstate(over="ignore"):
        train_simply(theta, epoch, updater=make_updater(learning_rate=1e3), max_iter=1)


def test_a_probe_that_fails_leaves_the_last_weights_that_are_proven():
    """Outputs may be infinite where no loss was computed any more."""

    def fail(theta):
        raise NotFiniteError

    with pytest.raises(DivergedError) as caught:
        run([3.0], probe=fail)
    assert caught.value.args == (2, False)
    history, theta = run([3.0, 2.0], probe=fail)
    assert history.stopped == "diverged" and theta == pytest.approx(-0.1)


# Interrupts -----------------------------------------------------------------------------------


@pytest.fixture
def ctrl_c(monkeypatch):
    """Press Ctrl-C, as somebody who has not done so for long."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(interrupts, "_latest", -np.inf)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, handler)


def interrupting(losses, at, ctrl_c):
    """Epochs of two batches; Ctrl-C comes in batch number `at`, from 0 on."""
    values, count = iter(losses), iter(range(10**6))

    def loss_and_gradient(theta, gradient):
        if next(count) == at:
            ctrl_c()
        gradient.fill(1.0)
        return next(values)

    return lambda: (Batch(1, loss_and_gradient) for _ in range(2))


@pytest.mark.parametrize(
    ("at", "losses", "steps"), [(0, [9.0], 1), (1, [8.0], 2), (2, [8.0], 3), (3, [8.0, 6.5], 4)]
)
def test_interrupt_leaves_the_weights_of_the_present_batch(at, losses, steps, ctrl_c):
    theta = np.zeros(1)
    with computing(patient=True):
        history = train_simply(theta, interrupting([9.0, 7.0, 7.0, 6.0], at, ctrl_c))
    assert history.stopped == "interrupted" and history.losses == losses
    assert len(history.grad_norms) == len(losses)
    assert theta == pytest.approx(-0.1 * steps)


def test_interrupt_leaves_the_best_weights_with_a_score(ctrl_c):
    theta = np.zeros(1)
    with computing(patient=True):
        history = train_simply(theta, interrupting([9.0] * 7, 6, ctrl_c), scores=[0.5, 0.9, 0.1])
    assert history.best == 2 and theta == pytest.approx(-0.4)


def test_interrupt_before_there_is_anything_to_keep_is_raised(ctrl_c):
    theta = np.zeros(1)

    def epochs():
        ctrl_c()
        return interrupting([9.0], None, ctrl_c)()

    with pytest.raises(KeyboardInterrupt), computing(patient=True):
        train_simply(theta, epochs)
    assert theta == 0


def test_interrupt_of_lbfgs_leaves_the_last_iterate(ctrl_c):
    calls, iterates = iter(range(100)), []

    class Iterates(Silence):
        def end_epoch(self, history, theta):
            iterates.append(theta.copy())
            return False

    def slow_bowl(theta, gradient):
        if next(calls) == 4:
            ctrl_c()
        return rosenbrock(theta, gradient)

    theta = np.array([-1.2, 1.0, 0.5])
    with computing(patient=True):
        history = minimize_simply(theta, [Batch(1, slow_bowl)], monitor=Iterates())
    assert history.stopped == "interrupted" and len(history.losses) == len(iterates) >= 1
    np.testing.assert_array_equal(theta, iterates[-1])
    assert next(calls) < 10


@pytest.mark.parametrize("at", [0, 4])
def test_insisting_ends_lbfgs_at_once(at, ctrl_c):
    calls = iter(range(100))

    def slow_bowl(theta, gradient):
        if next(calls) == at:
            ctrl_c()
            ctrl_c()
        return rosenbrock(theta, gradient)

    with pytest.raises(KeyboardInterrupt), computing(patient=True):
        minimize_simply(np.array([-1.2, 1.0, 0.5]), [Batch(1, slow_bowl), Batch(1, slow_bowl)])
    assert next(calls) <= at + 2


def test_a_monitor_can_stop_training():
    history, theta = run([5, 4, 3, 2, 1], monitor=Recorder(stop_after=2))
    assert history.stopped == "callback" and history.losses == [5, 4]
    assert theta == pytest.approx(-0.2)


def test_a_monitor_can_stop_lbfgs():
    theta = np.array([-1.2, 1.0, 0.5])
    monitor = Recorder(stop_after=3)
    history = minimize_simply(theta, [Batch(1, rosenbrock)], monitor=monitor)
    assert history.stopped == "callback" and history.losses == monitor.seen
    assert len(monitor.seen) == 3
    assert rosenbrock(theta, np.empty(3)) == pytest.approx(monitor.seen[-1])


@pytest.mark.parametrize("bound", [None, 0.5, 100.0])
def test_clipping_bounds_the_norm_over_all_weights_and_keeps_the_direction(bound):
    theta, gradient = np.zeros(2), np.array([3.0, 4.0])
    _, norm = make_updater(1.0, max_grad_norm=bound, n=2).step(theta, gradient, 0.0)
    assert norm == pytest.approx(5)
    expected = 1 if bound is None else min(1, bound / 5)
    np.testing.assert_allclose(-theta, expected * np.array([3.0, 4.0]))


def test_norm_survives_gradients_whose_squares_overflow():
    theta, gradient = np.zeros(2), np.array([3e200, 4e200])
    _, norm = make_updater(1.0, max_grad_norm=1.0, n=2).step(theta, gradient, 0.0)
    assert norm == pytest.approx(5e200)
    np.testing.assert_allclose(-theta, [0.6, 0.8])


def test_step_goes_along_the_penalised_gradient(assert_gradient):
    at = np.array([1.0, -2.0, 3.0])

    def value(theta):
        return make_updater(penalty=0.3, n=3).step(theta.copy(), np.zeros(3), 2.0)[0]

    theta = at.copy()
    make_updater(1.0, penalty=0.3, n=3).step(theta, np.zeros(3), 2.0)
    assert_gradient(value, at, at - theta)


def test_epoch_loss_is_the_mean_over_samples_and_norm_that_over_batches():
    def epoch():
        for n, loss, slope in [(3, 1.0, 1.0), (1, 5.0, 3.0)]:

            def loss_and_gradient(theta, gradient, loss=loss, slope=slope):
                gradient.fill(slope)
                return loss

            yield Batch(n, loss_and_gradient)

    history = train_simply(np.zeros(1), epoch, max_iter=1)
    assert history.losses == [2.0] and history.grad_norms == [2.0]


# L-BFGS ---------------------------------------------------------------------------------------

CURVATURE = np.array([1.0, 10.0, 100.0])


def bowl(theta, gradient):
    gradient[:] = CURVATURE * (theta - 1)
    return 0.5 * CURVATURE @ (theta - 1) ** 2


def rosenbrock(theta, gradient):
    gradient[:] = scipy.optimize.rosen_der(theta)
    return scipy.optimize.rosen(theta)


def minimize_simply(theta, batches, *, penalty=0.0, max_iter=50, tol=0.0, monitor=None):
    penalty, monitor = np.full(len(theta), penalty), monitor or Silence()
    settings = {"max_iter": max_iter, "tol": tol, "yardstick": Yardstick(1e3)}
    return minimize(theta, batches, objective, penalty, monitor=monitor, **settings)


def lowered(*batches, theta=None, penalty=0.0, max_iter=200, tol=1e-9):
    theta, monitor = np.zeros(3) if theta is None else theta, Recorder()
    batches = [Batch(*batch) for batch in batches]
    history = minimize_simply(
        theta, batches, penalty=penalty, max_iter=max_iter, tol=tol, monitor=monitor
    )
    assert monitor.seen == history.losses and len(monitor.seen) == len(history.grad_norms) >= 1
    return theta, history


@pytest.mark.parametrize("penalty", [0.0, 0.5])
def test_lbfgs_finds_the_minimum_of_the_penalised_loss(penalty):
    theta, history = lowered((1, bowl), penalty=penalty)
    np.testing.assert_allclose(theta, CURVATURE / (CURVATURE + penalty), rtol=1e-6)
    value = bowl(theta, np.empty(3)) + penalty / 2 * theta @ theta
    assert history.stopped == "converged" and history.losses[-1] == pytest.approx(value)
    assert all(np.diff(history.losses) < 0)


def test_lbfgs_is_given_the_gradient_of_the_penalised_loss(assert_gradient):
    def half(theta, gradient):
        gradient[:] = 3 * theta**2
        return (theta**3).sum()

    at, batches = np.array([-1.2, 1.0, 0.5]), [Batch(2, rosenbrock), Batch(3, half)]
    penalized = PenalizedObjective(at, batches, objective, np.array([0.5, 0.0, 2.0]))
    assert_gradient(lambda theta: penalized(theta)[0], at, penalized(at)[1])


def test_lbfgs_history_is_that_of_scipys_iterates():
    start, iterates = np.array([-1.2, 1.0, 0.5]), []
    scipy.optimize.minimize(
        scipy.optimize.rosen,
        start,
        jac=scipy.optimize.rosen_der,
        method="L-BFGS-B",
        callback=lambda x: iterates.append(x.copy()),
        options={"gtol": 1e-9},
    )
    theta, history = lowered((4, rosenbrock), theta=start)
    np.testing.assert_array_equal(theta, iterates[-1])
    assert history.losses == [scipy.optimize.rosen(x) for x in iterates]
    np.testing.assert_allclose(
        history.grad_norms, [np.linalg.norm(scipy.optimize.rosen_der(x)) for x in iterates]
    )


def test_lbfgs_takes_the_mean_over_the_samples_of_all_batches():
    def flat(theta, gradient):
        gradient.fill(0.0)
        return 8.0

    theta, history = lowered((3, bowl), (1, flat), penalty=0.75)
    np.testing.assert_allclose(theta, CURVATURE / (CURVATURE + 1), rtol=1e-6)
    penalised = 0.75 * bowl(theta, np.empty(3)) + 0.25 * 8 + 0.375 * theta @ theta
    assert history.losses[-1] == pytest.approx(penalised)


def test_lbfgs_computes_the_loss_in_the_dtype_of_theta():
    def in_float32(theta, gradient):
        assert theta.dtype == gradient.dtype == np.float32
        return bowl(theta, gradient)

    theta, history = lowered((1, in_float32), theta=np.zeros(3, np.float32))
    assert theta.dtype == np.float32 and history.stopped == "converged"
    np.testing.assert_allclose(theta, 1, rtol=1e-5)


def test_lbfgs_stops_at_max_iter_and_goes_on_from_there():
    theta, history = lowered((1, rosenbrock), max_iter=5)
    assert history.stopped == "max_iter" and len(history.losses) == 5
    again, history = lowered((1, rosenbrock), theta=theta)
    assert history.stopped == "converged"
    np.testing.assert_allclose(again, 1, rtol=1e-5)


def test_lbfgs_at_a_minimum_counts_as_one_iteration():
    theta, history = lowered((1, bowl), theta=np.ones(3))
    assert history.stopped == "converged" and history.losses == [0.0] == history.grad_norms
    np.testing.assert_array_equal(theta, 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["value", "gradient"])
def test_lbfgs_leaves_the_last_finite_iterate_or_says_that_there_is_none(bad, where):
    def cliff(theta, gradient):
        value = rosenbrock(theta, gradient)
        if theta[0] > 0.8:
            value = bad if where == "value" else value
            gradient[0] = bad if where == "gradient" else gradient[0]
        return value

    theta, history = lowered((1, cliff))
    assert history.stopped == "diverged" and 0 < theta[0] <= 0.8
    assert history.losses[-1] == pytest.approx(rosenbrock(theta, np.empty(3)))
    with pytest.raises(DivergedError) as caught:
        lowered((1, cliff), theta=np.ones(3))
    assert caught.value.args == (1, False)
