"""Optuna Dashboard for a study, and what it shows beside the trials."""
