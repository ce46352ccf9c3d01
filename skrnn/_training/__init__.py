"""Optimisers, learning rates, and the loops that use them."""
