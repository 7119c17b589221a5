"""`python -m hfstyle` is the command `hfstyle`."""

import sys

from hfstyle.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
