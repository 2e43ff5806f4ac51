"""Checks that an explanation is about the model, not about the inputs, the baseline, the method or the neighbours."""
