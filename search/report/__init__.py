"""The report of a study: one HTML page, its figures and its tables."""
