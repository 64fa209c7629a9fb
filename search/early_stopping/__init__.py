"""Early stopping: which trainings end before their last epoch."""
