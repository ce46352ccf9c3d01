"""Where a stream stands, as `step` gives it to users and takes it back: one row a sequence."""

import numpy as np

from ._network import Standing


def state_of(network, standing):
    """Arrays by name, one row a sequence."""
    state = {
        name: h.T
        for names, layer in zip(network.state_names, standing.layers, strict=True)
        for name, h in zip(names, layer, strict=True)
    }
    state["pooled"], state["steps"] = standing.total.T, standing.count
    return state


def standing_of(network, views, state, n):
    """Where n sequences stand, by what `step` gave before."""
    if state is None:
        return network.before(views, n)
    _require_state(state, network.state_widths, n)
    layers = [[state[name].T for name in names] for names in network.state_names]
    return Standing(layers, state["pooled"].T, state["steps"])


def _require_state(state, widths, n):
    """Refuse all but `steps` (n,) and arrays (n, width) of these names and widths."""
    try:
        n_rows = len(state["steps"])
        fits = len(state) == len(widths) + 1 and state["steps"].shape == (n_rows,)
        fits = fits and all(state[name].shape == (n_rows, H) for name, H in widths.items())
    except (AttributeError, KeyError, TypeError, IndexError):
        fits = False
    if not fits:
        raise ValueError(
            "state must be what step returned for this estimator, or None. Rows may be taken from "
            "it, of every array the same."
        )
    if n_rows != n:
        raise ValueError(
            f"x_t has {n} rows, but state is of {n_rows} sequences: pass a row for each of them, "
            "all NaN where there is none."
        )


def moved(after, before, moves):
    """Where sequences stand if only some move: as after a step for these, as before for others."""
    layers = [
        [np.where(moves, new, old) for new, old in zip(*states, strict=True)]
        for states in zip(after.layers, before.layers, strict=True)
    ]
    total = np.where(moves, after.total, before.total)
    return Standing(layers, total, np.where(moves, after.count, before.count))
