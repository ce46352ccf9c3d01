"""What users hand in: containers, sequences of any length, and samples to learn from."""
