"""The network: cells, layers, losses, and backpropagation through time."""
