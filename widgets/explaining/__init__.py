"""Explanations as a person sees them: a widget, a part of the report, a page of their own."""
