"""Training one network: data sets, their splits, augmentation and the short training itself."""
