"""``python -m dicomsniff``."""

import sys

from dicomsniff.cli import main

sys.exit(main())
