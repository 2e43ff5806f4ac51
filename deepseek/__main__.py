"""Runs the command line as ``python -m deepseek``."""

import sys

from deepseek.cli import main

sys.exit(main())
