"""How Triton kernels round."""

FUSED = {"enable_fp_fusion": True}
"""For every launch: a product is rounded together with the sum it goes into. Triton warns where nobody says which."""
