"""``python -m dicomsniff.cli``."""

from __future__ import annotations

import sys

from dicomsniff.cli import main

sys.exit(main())
