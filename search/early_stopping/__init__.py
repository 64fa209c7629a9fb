"""Which trainings are cut short."""
