"""Optuna Dashboard over a study, and what it shows beside the trials."""
