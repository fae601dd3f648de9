"""``python -m saccade`` is the program ``saccade``."""

import sys

from saccade.cli import main

sys.exit(main())
