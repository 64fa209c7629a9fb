"""The search space: parameters, their values, and the architectures that they describe."""
