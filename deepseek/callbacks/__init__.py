"""Sessions that a training framework opens and closes: transformers, Lightning and Accelerate."""
