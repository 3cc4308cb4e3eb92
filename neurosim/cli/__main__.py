"""``python -m neurosim.cli``."""

import sys

from neurosim.cli.main import main

sys.exit(main())
