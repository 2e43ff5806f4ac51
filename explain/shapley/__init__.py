"""Shapley values by evaluating the model: exact enumeration, regression over coalitions, antithetic permutations."""
