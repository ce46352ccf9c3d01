"""The network: which layers, in what order, and where their weights stand in theta."""

from functools import cached_property, partial
from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

from skrnn._data.samples import Rows
from skrnn._data.sequences import Sequences, width_of
from skrnn._nn.cells import CELLS
from skrnn._nn.embedding import Embedding
from skrnn._nn.heads import SequenceHead, StepHead
from skrnn._nn.linear import Dense
from skrnn._nn.pooling import READOUTS
from skrnn._nn.recurrent import widen
from skrnn._nn.stack import Chain, Input

BLOCK_COLUMNS = 1500


class Design(NamedTuple):
    """All that the shapes and the meaning of the weights depend on.

    `embedded` has (feature, codes, dimension) of every feature that holds codes.
    """

    cell: str
    n_in: int
    hidden_layer_sizes: tuple
    n_out: int
    dtype: str
    readout: str = "last"
    bidirectional: bool = False
    initial_state: str = "zeros"
    embedded: tuple = ()


class Draws(NamedTuple):
    """What is drawn for a batch: masks of dropout by layer, and states before the first step.

    A mask is (H, B) or None; `starts` has the states of every chain, nothing if they are not drawn.
    """

    masks: list
    starts: list | tuple = ()

    def take(self, columns):
        masks = [None if mask is None else mask[:, columns] for mask in self.masks]
        starts = [[[h[:, columns] for h in state] for state in chain] for chain in self.starts]
        return Draws(masks, starts)


class Work(NamedTuple):
    """One call of `loss_and_gradient`: named views of theta and of the gradient, the batch."""

    weights: dict
    gradient: dict
    rows: Rows
    draws: Draws
    loss: object
    total: float


class Standing(NamedTuple):
    """Where sequences stand after some steps: states of all layers, what is pooled, steps."""

    layers: list
    total: np.ndarray
    count: np.ndarray


def make_network(design):
    return (Bidirectional if design.bidirectional else Unidirectional)(design)


class Network:
    """Recurrent layers one on the other, a dense readout on top.

    The weights are one flat vector theta: the textbook's arrays one after the other, layer by
    layer. A network holds its working memory, so it serves one thread at a time; `step` needs none.
    """

    def __init__(self, design):
        self.design, self.dtype = design, np.dtype(design.dtype)
        self.inputs = Embedding(design.n_in, design.embedded)
        self.chains = [
            Chain(
                CELLS[design.cell],
                sizes,
                design.dtype,
                suffixes,
                learned_start=design.initial_state == "learned",
            )
            for sizes, suffixes in self._layout()
        ]
        self.dense = Dense(self._n_states[-1], design.n_out, design.dtype)
        self.shapes = self.inputs.shapes.copy()
        for part in (*self.chains, self.dense):
            self.shapes |= part.shapes
        sizes = [prod(shape) for shape in self.shapes.values()]
        self.n_weights, starts = sum(sizes), np.cumsum([0, *sizes]).tolist()
        self._places = [
            (name, slice(*own), shape)
            for (name, shape), own in zip(self.shapes.items(), pairwise(starts), strict=True)
        ]

    @property
    def _n_states(self):
        """Numbers that each layer hands on."""
        directions = 2 if self.design.bidirectional else 1
        return [directions * H for H in self.design.hidden_layer_sizes]

    @cached_property
    def n_products(self):
        """Multiplications of weights in one step of one sequence, layer by layer."""
        return [layer.n_products for chain in self.chains for layer in chain.layers]

    @property
    def per_step(self):
        return self.design.readout == "step"

    def weights(self, theta):
        """Named views of a flat vector."""
        return {name: theta[own].reshape(shape) for name, own, shape in self._places}

    def initialize(self, rng):
        """Draw theta; in float64, so that both precisions start at the same weights."""
        theta = np.empty(self.n_weights)
        views = self.weights(theta)
        self.inputs.initialize(views, rng)
        for chain in self.chains:
            for layer, own in chain.of_layers(views):
                layer.initialize(own, rng)
        self.dense.initialize(views, rng)
        return theta.astype(self.dtype)

    def is_penalized(self):
        """Which entries of theta are weights, 1; biases, embeddings and states are not, 0."""
        mask = np.zeros(self.n_weights, self.dtype)
        for name, view in self.weights(mask).items():
            view[...] = name.startswith("W")
        return mask

    def draw(self, rng, n, dropout):
        """Draw what a batch of n sequences needs.

        A mask belongs to a sequence, for all its steps alike (Gal & Ghahramani 2016).
        """
        draws = self._undrawn
        if dropout:
            kept = [rng.random_sample((H, n)) >= dropout for H in self._n_states]
            masks = [mask.astype(self.dtype) / self.dtype.type(1 - dropout) for mask in kept]
            draws = draws._replace(masks=masks)
        if self.design.initial_state == "normal":
            starts = [[layer.draw(rng, n) for layer in chain.layers] for chain in self.chains]
            draws = draws._replace(starts=starts)
        return draws

    @property
    def _undrawn(self):
        return Draws([None] * len(self._n_states))

    def loss_and_gradient(
        self,
        theta,
        gradient,
        rows,
        loss,
        *,
        total,
        draws=None,
        bptt_steps=None,
        max_bytes=None,
    ):
        """Loss of a batch, sorted longest first; its gradient goes into `gradient`.

        The weights of the rows are divided by `total`. With `bptt_steps` the gradient goes back
        over no more steps than these (Williams & Peng 1990): those before the end of each sequence
        for the readout "last", else those since the start of a window. If the arrays of all steps
        would need more than `max_bytes`, the states at about sqrt(T) of them are kept and the
        others computed again (Chen et al. 2016).
        """
        views, draws = self._load(theta), draws or self._undrawn
        gradient.fill(0)
        work = Work(views, self.weights(gradient), rows, draws, loss, total)
        head = self._head(rows.sequences.lengths, draws.masks[-1])
        for chain in self.chains:
            chain.begin_sums()
        self._learn(work, head, bptt_steps, max_bytes)
        for chain in self.chains:
            chain.unload(work.gradient)
        return head.value

    def outputs(self, theta, sequences):
        """Raw outputs (n, K); of the readout "step" for all steps, sequence by sequence."""
        views = self._load(theta)
        if self.per_step:
            return self._each_step(views, sequences, partial(self.dense.forward, views))
        out = np.empty((len(sequences), self.dense.n_out), self.dtype)
        for rows in _blocks(sequences):
            batch = sequences.take(rows)
            head = self._head(batch.lengths, None)
            self._pass(views, batch, head.collect)
            out[rows] = head.outputs(views)
        return out

    def hidden_states(self, theta, sequences):
        """States of the top layer after every step, sequence by sequence."""
        return self._each_step(self._load(theta), sequences, lambda h: h)

    def state_before(self, theta):
        """State of the top layer before the first step, (1, H)."""
        views, n_top = self.weights(theta), 1 + self.design.bidirectional
        tops = zip(self.chains[-n_top:], self._starts(views, 1)[-n_top:], strict=True)
        states = [(start[-1] or chain.layers[-1].zero_state(1))[0] for chain, start in tops]
        return np.concatenate(states).T

    def output_before(self, theta):
        """Raw output before the first step, (1, K)."""
        return self.dense.forward(self.weights(theta), self.state_before(theta).T).T

    def _each_step(self, views, sequences, function):
        """A function of the states (steps, H, width), put together for all steps."""
        parts = [function(np.zeros((1, self._n_states[-1], 1), self.dtype))]
        out = Sequences.empty(sequences.lengths, parts[0].shape[1], self.dtype)
        for rows in _blocks(sequences):
            self._put_steps(views, sequences.take(rows), function, out.take(rows))
        return out.values

    def _load(self, theta):
        views = self.weights(theta)
        for chain in self.chains:
            chain.load(views)
        return views

    def _starts(self, views, n, draws=None):
        """States before the first step, of every chain."""
        return (draws and draws.starts) or [chain.start(views, n) for chain in self.chains]

    def _read(self, views, sequences):
        return lambda run: self.inputs.forward(views, sequences.steps(run))

    def _learn_embedding(self, work, sequences):
        """What takes dL/dx of a run of these sequences, None if nobody wants it."""
        if not self.inputs.tables:
            return None

        def learn(run, dx):
            self.inputs.learn(work.gradient, sequences.steps(run), dx[:, :, : run.n])

        return learn

    def _head(self, lengths, mask):
        if self.per_step:
            return StepHead(self.dense, mask)
        n_chains = 2 if self.design.bidirectional else 1
        return SequenceHead(self.dense, self.design.readout, n_chains, lengths, mask)


class Unidirectional(Network):
    """One chain of all layers, so that time is gone through once, run by run."""

    def __init__(self, design):
        super().__init__(design)
        self.state_names = [
            [f"{kind}_{i}" for kind in "hc"[: layer.n_states]]
            for i, layer in enumerate(self.chain.layers)
        ]
        sizes = zip(self.state_names, self.design.hidden_layer_sizes, strict=True)
        self.state_widths = {name: H for names, H in sizes for name in names}
        self.state_widths["pooled"] = self.chain.n_out

    def _layout(self):
        sizes = [self.inputs.n_out, *self.design.hidden_layer_sizes]
        yield sizes, [f"_{i}" for i in range(len(sizes) - 1)]

    @property
    def chain(self):
        return self.chains[0]

    def _source(self, work, sequences):
        return Input(self._read(work.weights, sequences), work.draws.masks)

    def _learn(self, work, head, bptt_steps, max_bytes):
        sequences = work.rows.sequences
        (start,) = self._starts(work.weights, len(sequences), work.draws)
        if bptt_steps is None or sequences.lengths[0] <= bptt_steps:
            plan = self.chain.plan(sequences, max_bytes)
            self._there_and_back(work, head, sequences, plan, start)
        elif self.design.readout == "last":
            self._learn_ends(work, head, start, bptt_steps, max_bytes)
        else:
            self._learn_windows(work, head, start, bptt_steps)

    def _there_and_back(self, work, head, sequences, plan, start, first=0):
        """The whole of a plan; sequences from number `first` on start at their initial state."""
        source = self._source(work, sequences)
        collect = self._collector(head.collect)
        _, trail = self.chain.forward(plan, source, start, collect, keep_trail=True)
        head.turn(work)
        self._back(work, head, sequences, trail, first)

    def _back(self, work, head, sequences, trail, first=0):
        d_start = self.chain.backward(
            trail,
            self._source(work, sequences),
            partial(head.d_hidden, 0),
            self._learn_embedding(work, sequences),
        )
        self.chain.learn_start(work.gradient, d_start, len(sequences), first)

    def _learn_ends(self, work, head, start, k, max_bytes):
        """Keep the last k steps of every sequence; those before give a state, no gradient."""
        all_steps = work.rows.sequences
        skipped = np.maximum(all_steps.lengths - k, 0)
        n = np.count_nonzero(skipped)
        before = Sequences(all_steps.values, all_steps.starts[:n], skipped[:n])
        tail = Sequences(all_steps.values, all_steps.starts + skipped, all_steps.lengths - skipped)
        finals = self.chain.pass_through(before, self._source(work, before), start)
        states = [
            _overwritten(state, final, len(tail))
            for state, final in zip(start, finals, strict=True)
        ]
        plan = self.chain.plan(tail, max_bytes)
        self._there_and_back(work, head, tail, plan, states, first=n)

    def _learn_windows(self, work, head, states, k):
        """Go through windows of k steps, each there and back; what is pooled is pooled before."""
        sequences, nothing = work.rows.sequences, lambda run, arrays: None
        source = self._source(work, sequences)
        if not self.per_step:
            plan = self.chain.plan_in_passing(sequences, k)
            self.chain.forward(plan, source, states, self._collector(head.collect))
        head.turn(work)
        first = 0
        for plan in self.chain.plan_windows(sequences, k):
            states = [state and [h.copy() for h in state] for state in states]
            states, trail = self.chain.forward(plan, source, states, nothing, keep_trail=True)
            self._back(work, head, sequences, trail, first)
            first = len(sequences)

    def _collector(self, collect):
        return lambda run, arrays: collect(0, run, self.chain.top(arrays))

    def _pass(self, views, batch, collect):
        """Go through a batch that is only read, keeping no states."""
        (start,) = self._starts(views, len(batch))
        source = Input(self._read(views, batch), self._undrawn.masks)
        plan = self.chain.plan_in_passing(batch)
        self.chain.forward(plan, source, start, self._collector(collect))

    def _put_steps(self, views, batch, function, out):
        self._pass(views, batch, lambda part, run, h: out.put(run, function(h)))

    # One step at a time -----------------------------------------------------------------------

    def before(self, views, n):
        """Where n sequences stand before their first step."""
        (start,) = self._starts(views, n)
        layers = [
            [h.copy() for h in state] if state else layer.zero_state(n)
            for layer, state in zip(self.chain.layers, start, strict=True)
        ]
        return Standing(layers, layers[-1][0].copy(), np.zeros(n, self.dtype))

    def after(self, theta, sequences):
        """Where the sequences stand after all their steps."""
        views = self._load(theta)
        standing = self.before(views, len(sequences))
        for rows in _blocks(sequences):
            batch = sequences.take(rows)
            pool = READOUTS[self.design.readout](
                self._n_states[-1], batch.lengths, width_of(len(rows)), self.dtype
            )
            finals = self.chain.pass_through(
                batch,
                Input(self._read(views, batch), self._undrawn.masks),
                self._starts(views, len(rows))[0],
                pool.collect,
            )
            for state, final in zip(standing.layers, finals, strict=True):
                for h, end in zip(state, final, strict=True):
                    h[:, rows] = end
            standing.total[:, rows] = pool.total[:, : len(rows)]
            standing.count[rows] = batch.lengths
        return standing


class Bidirectional(Network):
    """Schuster & Paliwal (1997): every layer reads forward and backward, each from its own end.

    Two chains a layer. What a layer hands on stands in Sequences of (steps of all, 2 H), so that
    the way back in time is the same steps in another order.
    """

    def _layout(self):
        sizes = [self.inputs.n_out, *self._n_states[:-1]]
        for i, (n_in, H) in enumerate(zip(sizes, self.design.hidden_layer_sizes, strict=True)):
            for suffix in (f"_{i}", f"_{i}_reverse"):
                yield [n_in, H], [suffix]

    @property
    def _pairs(self):
        """The two chains of every layer."""
        return list(zip(self.chains[::2], self.chains[1::2], strict=True))

    def _learn(self, work, head, bptt_steps, max_bytes):
        batch = work.rows.sequences
        ways, states = self._forward(work.weights, batch, work.draws, head.collect, keep=True)
        head.turn(work)
        d_states = self._d_top(head, batch, states)
        for i, pair in reversed(list(enumerate(self._pairs))):
            below = Sequences.empty(batch.lengths, 2 * pair[0].n_in, self.dtype)
            for part, chain in enumerate(pair):
                if d_states is None:
                    d_hidden = partial(head.d_hidden, part)
                else:
                    d_hidden = partial(_d_steps, _half(d_states, part))
                if i:
                    send = partial(_put_masked, _half(below, part), work.draws.masks[i - 1])
                else:
                    send = self._learn_embedding(work, _turned(batch, part))
                source, trail = ways[i][part]
                d_start = chain.backward(trail, source, d_hidden, send)
                chain.learn_start(work.gradient, d_start, len(batch))
            if i:
                d_states = below.of(
                    below.values[:, : pair[0].n_in] + below.values[:, pair[0].n_in :]
                )

    def _d_top(self, head, batch, states):
        """The gradient of the states at the top, where it comes from every step; else None."""
        if not self.per_step:
            return None
        d_states = Sequences.empty(batch.lengths, self._n_states[-1], self.dtype)
        for run in self.chains[0].plan(batch).runs:
            d_states.put(run, head.d_states(run, widen(states.steps(run), run.width)))
        return d_states

    def _forward(self, views, batch, draws, collect, *, keep=False):
        """Go through all layers, one after the other; `collect` gets the states at the top.

        Returns for every layer the (source, trail) of both chains, and the states at the top.
        """
        starts, ways, states = iter(self._starts(views, len(batch), draws)), [], batch
        for i, pair in enumerate(self._pairs):
            below, states = states, Sequences.empty(batch.lengths, self._n_states[i], self.dtype)
            ways.append([])
            for part, chain in enumerate(pair):
                source = Input(self._reader(views, _turned(below, part), i, draws), [])
                into = _half(states, part)

                def hand_on(run, arrays, i=i, part=part, chain=chain, into=into):
                    into.put(run, chain.top(arrays))
                    if i == len(self._pairs) - 1:
                        collect(part, run, chain.top(arrays))

                plan = chain.plan(batch) if keep else chain.plan_in_passing(batch)
                _, trail = chain.forward(plan, source, next(starts), hand_on, keep_trail=keep)
                ways[-1].append((source, trail))
        return ways, states

    def _reader(self, views, sequences, i, draws):
        """What layer i reads of a run."""
        if i == 0:
            return self._read(views, sequences)
        mask = draws.masks[i - 1]
        if mask is None:
            return sequences.steps
        return lambda run: sequences.steps(run) * mask[:, : run.n]

    def _pass(self, views, batch, collect):
        return self._forward(views, batch, self._undrawn, collect)[1]

    def _put_steps(self, views, batch, function, out):
        states = self._pass(views, batch, lambda part, run, h: None)
        for run in self.chains[0].plan_in_passing(batch).runs:
            out.put(run, function(widen(states.steps(run), run.width)))


def _turned(sequences, part):
    """As the chain number `part` of a layer reads them: the second one backward."""
    return sequences.reversed() if part else sequences


def _half(states, part):
    """What the chain number `part` of a layer hands on, in the order in which it does."""
    H = states.values.shape[1] // 2
    return _turned(states.of(states.values[:, part * H : (part + 1) * H]), part)


def _d_steps(d_states, run, h):
    """Gradients at the steps of a run, as the way back wants them."""
    d = d_states.steps(run)
    return {t: (slice(0, n), d[t, :, :n]) for t, n in enumerate(run.running())}


def _put_masked(sequences, mask, run, dx):
    sequences.put(run, dx if mask is None else dx[:, :, : run.n] * mask[:, : run.n])


def _overwritten(state, final, n):
    """Arrays (H, n) of a state whose first columns are those of another; None is zero."""
    new = [widen(h, n) for h in final]
    for h, start in zip(new, state or [], strict=False):
        columns = final[0].shape[1]
        h[:, columns:] = start[:, columns:]
    return new


def _blocks(sequences):
    """Row numbers of the sequences, longest first, in parts of like numbers."""
    order = sequences.longest_first()
    return np.array_split(order, -(-len(order) // BLOCK_COLUMNS))
