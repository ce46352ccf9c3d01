"""The estimators: scikit-learn's interface to the network."""
