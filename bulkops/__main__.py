"""`python -m bulkops`."""

from __future__ import annotations

import sys

from bulkops.cli import main

if __name__ == "__main__":
    sys.exit(main())
