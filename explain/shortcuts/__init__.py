"""The shortcut audit: which regions of the inputs a classifier depends on, and whether it should."""
