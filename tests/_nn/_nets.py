"""Small nets with data for them, and what holds for whatever the registries hold."""

import tracemalloc

import numpy as np

from skrnn._data.samples import Samples
from skrnn._data.sequences import Sequences
from skrnn._nn.backprop import TrainingWorkspace
from skrnn._nn.cells import CELLS, Scratch
from skrnn._nn.losses import CLASSIFICATION_LOSSES, REGRESSION_LOSSES, ClassificationLoss
from skrnn._nn.network import Architecture, Network
from skrnn._nn.pooling import READOUTS
from skrnn._nn.streaming import FittedNetwork
from skrnn._parallel.host import computing

D = 2
LENGTHS = {"equal": [5, 5, 5, 5], "ragged": [3, 6, 1, 6, 4], "one": [4], "many": [2, 7, 4] * 7}
CODED = {"embedded": ((1, 4, 3),)}  # the second feature holds codes 0 to 3


# makers ---------------------------------------------------------------------------------------


def make_batch(lengths, rng, dtype=np.float64, coded=False):
    lengths = np.array(lengths)
    steps = rng.standard_normal((lengths.sum(), D)).astype(dtype)
    if coded:
        steps[:, 1] = rng.integers(4, size=len(steps))
    return Sequences.stacked(steps, lengths)


def loss_of(name):
    return (REGRESSION_LOSSES | CLASSIFICATION_LOSSES)[name]()


def make_loss_targets(loss, K, n, rng, dtype=np.float64):
    """Targets of K outputs as the loss takes them."""
    if isinstance(loss, ClassificationLoss):
        several = "multiclass" in loss.kinds
        codes = rng.integers(K, size=(n, 1)) if several else rng.integers(2, size=(n, K))
        return loss.encode(codes, np.dtype(dtype))
    if loss.lower >= 0:
        return rng.poisson(1.0, size=(n, K)).astype(dtype)
    return rng.standard_normal((n, K)).astype(dtype)


def make_samples(sequences, loss, K, rng, readout="last"):
    """Samples longest first, with weights between 0 and 1."""
    per_step, dtype = READOUTS[readout].per_step, sequences.values.dtype
    n = sequences.lengths.sum() if per_step else len(sequences)
    y, weight = make_loss_targets(loss_of(loss), K, n, rng, dtype), rng.random(n).astype(dtype)
    return Samples(sequences, y, weight, per_step=per_step).longest_first()


def make_net(cell, sizes, K, rng, dtype=np.float64, **options):
    """A net with all weights away from zero, biases too."""
    network = Network(Architecture(cell, D, sizes, K, np.dtype(dtype).name, **options))
    theta = network.initialize(np.random.RandomState(0))
    return network, theta + 0.1 * rng.standard_normal(theta.size).astype(dtype)


def learn(network, theta, samples, loss="squared_error", *, space=None, **settings):
    """Loss and gradient."""
    gradient, space = np.full_like(theta, np.nan), space or TrainingWorkspace(network)
    settings = {"total": 1.0} | settings
    with computing():
        value = space.loss_and_gradient(theta, gradient, samples, loss_of(loss), **settings)
    return value, gradient


def outputs_of(network, theta, sequences):
    with computing():
        return FittedNetwork(network, theta).outputs(sequences)


def traced(call):
    """What a call returns, and the greatest memory that it took."""
    tracemalloc.start()
    result = call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, peak


def assert_same_gradient(gradient, expected):
    """To rounding."""
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


# gradients ------------------------------------------------------------------------------------


def assert_exact(network, theta, samples, loss, assert_gradient, **settings):
    """Hold the gradient against finite differences."""
    _, gradient = learn(network, theta, samples, loss, **settings)
    assert_gradient(
        lambda theta: learn(network, theta, samples, loss, **settings)[0], theta, gradient
    )


def check_gradient(
    assert_gradient,
    cell="gru",
    loss="squared_error",
    *,
    sizes=(3, 2),
    lengths="ragged",
    dropout=0.0,
    **options,
):
    """The gradient of a net is exact."""
    rng = np.random.default_rng(1)
    sequences = make_batch(LENGTHS[lengths], rng, coded=options.get("embedded"))
    samples = make_samples(sequences, loss, 3, rng, options.get("readout", "last"))
    network, theta = make_net(cell, sizes, 3, rng, **options)
    noise = network.draw(np.random.RandomState(2), len(sequences), dropout)
    assert_exact(network, theta, samples, loss, assert_gradient, noise=noise, total=3.0)


def check_checkpointing(cell, *, sizes=(4, 3), bptt_steps=None, readout="last", **options):
    """States that are computed again give the same gradient."""
    rng = np.random.default_rng(7)
    sequences = make_batch(rng.integers(1, 200, size=40), rng)
    samples = make_samples(sequences, "squared_error", 1, rng, readout)
    options = {"initial_state": "normal"} | options
    network, theta = make_net(cell, sizes, 1, rng, readout=readout, **options)
    noise = network.draw(np.random.RandomState(0), 40, 0.2)
    settings = {"bptt_steps": bptt_steps, "noise": noise}
    value, expected = learn(network, theta, samples, **settings)
    again, gradient = learn(network, theta, samples, max_bytes=0, **settings)
    np.testing.assert_allclose(again, value, rtol=1e-12)
    assert_same_gradient(gradient, expected)


def learn_after(network, theta, before, samples):
    """Loss and gradient of samples that start, fixed, where the sequences `before` end."""
    with computing():
        carry = FittedNetwork(network, theta).carry_after(before)
    noise = network.silence._replace(starts=[carry.layers])
    value, gradient = learn(network, theta, samples, noise=noise)
    for name, view in network.weights(gradient).items():
        if name[1:2] == "0":  # a learned start, which is not where these start
            view[...] = 0
    return value, gradient


def check_truncation_to_last_steps(cell, k, *, sizes=(3, 2), **options):
    """The truncated gradient of the readout "last" is that of the last k steps.

    They start at the states that the steps before have left.
    """
    rng = np.random.default_rng(6)
    samples = make_samples(make_batch([9, 7, 7, 6], rng), "squared_error", 1, rng)
    network, theta = make_net(cell, sizes, 1, rng, **options)
    sequences, lengths = samples.sequences, samples.sequences.lengths
    before = Sequences(sequences.values, sequences.starts, lengths - k)
    tail = Sequences(sequences.values, sequences.starts + lengths - k, np.full(4, k))
    value, expected = learn_after(network, theta, before, samples._replace(sequences=tail))
    truncated, gradient = learn(network, theta, samples, bptt_steps=k)
    np.testing.assert_allclose(truncated, value, rtol=1e-12)
    assert_same_gradient(gradient, expected)


def check_truncation_to_windows(cell, k, *, sizes=(3, 2), **options):
    """The truncated gradient of the readout "step" is the sum over windows of k steps.

    Each starts at the states that the one before has left.
    """
    rng = np.random.default_rng(6)
    samples = make_samples(make_batch([9, 7, 4, 2], rng), "squared_error", 1, rng, "step")
    network, theta = make_net(cell, sizes, 1, rng, readout="step", **options)
    total, expected = 0.0, np.zeros_like(theta)
    for start in range(0, 9, k):
        sequences = samples.sequences.take(samples.sequences.lengths > start)
        left = sequences.lengths - start
        window = Sequences(sequences.values, sequences.starts + start, np.minimum(left, k))
        before = Sequences(sequences.values, sequences.starts, np.full(len(left), start))
        own = samples._replace(sequences=window)
        value, gradient = (
            learn_after(network, theta, before, own) if start else learn(network, theta, own)
        )
        total, expected = total + value, expected + gradient
    truncated, gradient = learn(network, theta, samples, bptt_steps=k)
    np.testing.assert_allclose(truncated, total, rtol=1e-12)
    assert_same_gradient(gradient, expected)


# outputs --------------------------------------------------------------------------------------


def check_outputs_are_those_of_the_gradient(cell, readout="last", bidirectional=False):
    """What is predicted is what the loss is taken of."""
    rng = np.random.default_rng(2)
    sequences = make_batch([7, 3, 9, 9, 1] * 5, rng)
    samples = make_samples(sequences, "squared_error", 2, rng, readout)
    options = {"readout": readout, "bidirectional": bidirectional, "initial_state": "learned"}
    network, theta = make_net(cell, (4, 3), 2, rng, **options)
    raw = outputs_of(network, theta, samples.sequences)
    y, weight = samples.flat()
    value, _ = learn(network, theta, samples)
    np.testing.assert_allclose(value, (weight[:, None] * (raw - y) ** 2).sum() / 2, rtol=1e-12)


def check_steps_are_prefixes(cell, readout="last", initial_state="zeros", embedded=()):
    """One step at a time gives the outputs of every prefix."""
    rng = np.random.default_rng(13)
    options = {"readout": readout, "initial_state": initial_state, "embedded": embedded}
    network, theta = make_net(cell, (4, 3), 2, rng, **options)
    sequences, fitted = make_batch([6, 6, 6], rng, coded=embedded), FittedNetwork(network, theta)
    carry = fitted.carry_before(3)
    for t in range(6):
        carry = fitted.step(np.stack([s[t] for s in sequences], axis=1), carry)
        prefixes = Sequences(sequences.values, sequences.starts, np.full(3, t + 1))
        with computing():
            expected, after = fitted.outputs(prefixes), fitted.carry_after(prefixes)
        expected = expected[t :: t + 1] if network.per_step else expected
        np.testing.assert_allclose(fitted.read_out(carry), expected, atol=1e-12)
        np.testing.assert_allclose(fitted.read_out(after), expected, atol=1e-12)
        for states, others in zip(carry.layers, after.layers, strict=True):
            np.testing.assert_allclose(states, others, atol=1e-12)


# cells ----------------------------------------------------------------------------------------

UNITS, COLUMNS = 3, 4
SCRATCH = Scratch(np.empty((UNITS, COLUMNS)), np.array(1.0), np.array(0.5))


def unroll_once(cell, a, h_prev, m_prev):
    """One step on copies: the new h, the new memory, and what backward needs."""
    a, h = np.concatenate([a, m_prev]), np.empty((UNITS, COLUMNS))
    if len(a) == 1:  # the layer puts pre-activations and h in one place
        h = a[0]
    m = np.empty((cell.n_memory, UNITS, COLUMNS))
    step = cell.views(a, h_prev, h, m)
    cell.forward(step, SCRATCH)
    return h, m, step


def scaled(cell, a):
    """Pre-activations as the layer's products give them."""
    return a * np.array([block.scale for block in cell.blocks])[:, None, None]


def draw_cell_inputs(cell, rng):
    """Pre-activations, h and memory of the previous step."""
    shape = UNITS, COLUMNS
    a, h_prev = rng.standard_normal((len(cell.blocks), *shape)), rng.standard_normal(shape)
    return a, h_prev, rng.standard_normal((cell.n_memory, *shape))


def check_cell_derivative(assert_gradient, name):
    """The derivative of every input of a cell is exact."""
    cell, rng = CELLS[name], np.random.default_rng(0)
    a, h_prev, m_prev = draw_cell_inputs(cell, rng)
    n_extra = len(cell.states) - 1
    weight_h, weight_c = rng.standard_normal((2, UNITS, COLUMNS))

    def value(a, h_prev, m_prev):
        h, m, _ = unroll_once(cell, scaled(cell, a), h_prev, m_prev)
        return (weight_h * h).sum() + sum((weight_c * c).sum() for c in m[:n_extra])

    _, _, step = unroll_once(cell, scaled(cell, a), h_prev, m_prev)
    dh, dc, da = weight_h.copy(), weight_c.copy(), np.empty_like(a)
    d_state = [dh, *[dc] * n_extra]
    cell.backward(step, cell.gradient_views(da), d_state, SCRATCH)
    assert_gradient(lambda a: value(a, h_prev, m_prev), a, da)
    if cell.keeps_h:
        assert_gradient(lambda h: value(a, h, m_prev), h_prev, dh)
    if n_extra:
        d_m = np.stack([dc, *np.zeros((cell.n_memory - 1, *dc.shape))])
        assert_gradient(lambda m: value(a, h_prev, m), m_prev, d_m)


def check_zeros_stay_zero(name):
    """Columns of zeros, which a batch is padded with, stay zero."""
    cell, shape = CELLS[name], (UNITS, COLUMNS)
    a, m = np.zeros((len(cell.blocks), *shape)), np.zeros((cell.n_memory, *shape))
    h, m, _ = unroll_once(cell, a, np.zeros(shape), m)
    assert not h.any() and not m.any()


# readouts -------------------------------------------------------------------------------------


def pool(readout, h, sequences, longest=None):
    """Pooled columns of states h (T, H, n), and the pool, with the segments of the batch."""
    segments = list(sequences.segments(longest=longest))
    pool = readout(h.shape[1], sequences.lengths, segments[0].width, h.dtype)
    for segment in segments:
        block = np.zeros((segment.steps, h.shape[1], segment.width))
        block[:, :, : segment.n] = h[segment.start :, :, : segment.n][: segment.steps]
        pool.collect(segment, block)
    return pool.pooled(), pool, segments


def check_pooling(assert_gradient, name, lengths, longest):
    """The gradient of a readout is exact, and `fold` gives what `collect` gives."""
    readout, rng, lengths = READOUTS[name], np.random.default_rng(3), np.array(lengths)
    sequences, n = make_batch(lengths, rng), len(lengths)
    h, weight = rng.standard_normal((lengths[0], 3, n)), rng.standard_normal((3, n))
    pooled, own, segments = pool(readout, h, sequences, longest)
    total, count = rng.standard_normal((3, n)), np.zeros(n)
    for t in range(lengths[0]):
        moves = t < lengths
        total = np.where(moves, readout.fold(total, h[t], count), total)
        count = count + moves
    np.testing.assert_allclose(readout.value(total, count), pooled[:, :n], rtol=1e-13)
    np.testing.assert_allclose(
        readout.value(own.total[:, :n], lengths.astype(float)), pooled[:, :n], rtol=1e-13
    )
    d, dh = np.zeros_like(pooled), np.zeros_like(h)
    d[:, :n] = weight
    for segment in segments:
        for t, (columns, d_t) in own.spread(segment, d).items():
            block = np.zeros((3, segment.width))
            block[:, columns] += d_t
            dh[segment.start + t, :, : segment.n] += block[:, : segment.n]
    assert_gradient(
        lambda h: (weight * pool(readout, h, sequences, longest)[0][:, :n]).sum(), h, dh
    )
