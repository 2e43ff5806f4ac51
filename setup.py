"""Builds the optional native part; everything else is declared in pyproject.toml."""

from setuptools import setup

setup()
