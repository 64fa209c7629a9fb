"""Retrains given networks, longer and with several seeds."""
