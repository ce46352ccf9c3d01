"""A textbook recurrent net in PyTorch, with `fit` and `score`."""

import numpy as np
import torch
from _peers import TorchNet
from sklearn.metrics import accuracy_score, r2_score
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

from skrnn._training.early_stopping import EarlyStopping


class TorchEstimator:
    """As many units as our default, batches of 32, Adam, gradient clipping at a norm of 1.

    At most 200 epochs, and our stopping rule: the training loss fell by no more than 1e-4 in 20.
    """

    def __init__(self, cell, learning_rate, is_regression, seed):
        self.cell, self.learning_rate = cell, learning_rate
        self.is_regression, self.seed = is_regression, seed

    def fit(self, X, y):
        torch.set_num_threads(1)
        torch.manual_seed(self.seed)
        self.classes, codes = (None, y[:, None]) if self.is_regression else _encode(y)
        n_out = 1 if self.is_regression else len(self.classes)
        self.net = TorchNet(self.cell, X[0].shape[1], 64, n_out=n_out)
        targets = torch.tensor(codes, dtype=torch.float32 if self.is_regression else torch.int64)
        self._train(_batches(X), targets)
        return self

    def _train(self, take, targets, batch_size=32, max_iter=200):
        loss_function = nn.MSELoss() if self.is_regression else nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(self.net.parameters(), lr=self.learning_rate)
        patience = EarlyStopping(1e-4, 20)
        for _ in range(max_iter):
            total = 0.0
            for rows in torch.randperm(len(targets)).split(batch_size):
                optimizer.zero_grad()
                loss = loss_function(self.net(take(rows)), targets[rows])
                loss.backward()
                nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
                optimizer.step()
                total += loss.item() * len(rows)
            if patience.is_over(total / len(targets)):
                break

    @torch.no_grad()
    def score(self, X, y):
        outputs = self.net(_batches(X)(torch.arange(len(X)))).numpy()
        if self.is_regression:
            return r2_score(y, outputs[:, 0])
        return accuracy_score(y, self.classes[outputs.argmax(1)])


def _encode(y):
    return np.unique(y, return_inverse=True)


def _batches(X):
    """Return a function from row indices to the input of the net, packed where lengths differ."""
    x = pad_sequence(list(map(torch.tensor, X)), batch_first=True)
    lengths = torch.tensor(list(map(len, X)))
    if (lengths == lengths[0]).all():
        return lambda rows: x[rows]
    return lambda rows: pack_padded_sequence(
        x[rows], lengths[rows], batch_first=True, enforce_sorted=False
    )
