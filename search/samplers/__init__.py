"""The samplers, which propose the next network."""
