"""The net that skorch trains in search.py, in a module that worker processes can import."""

from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence


class PackedNet(nn.Module):
    """A GRU that packs NaN-padded sequences, and a linear readout of the last hidden state."""

    def __init__(self, n_in=12, n_hidden=64, n_classes=9):
        super().__init__()
        self.rnn = nn.GRU(n_in, n_hidden, batch_first=True)
        self.readout = nn.Linear(n_hidden, n_classes)

    def forward(self, x):
        lengths = (~x[:, :, 0].isnan()).sum(1)
        x = x[:, : lengths.max()].nan_to_num()
        _, h = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return self.readout(h[-1])
