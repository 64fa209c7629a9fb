"""One network, one seed: the training, its seeds, its state."""
