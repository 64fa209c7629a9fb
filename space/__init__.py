"""What may vary: parameters, their values, and the architectures that they stand for."""
