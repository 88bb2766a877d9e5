"""`python -m dpjax COMMAND ...`; `dpjax.cli` lists the commands."""

import sys

from dpjax import cli
from dpjax.cli import exits

if __name__ == "__main__":
    sys.exit(exits.run(cli.main))
