"""Scores a run: python evaluate.py --workdir runs/demo."""

import sys

from dpjax.cli import evaluate, exits

if __name__ == "__main__":
    sys.exit(exits.run(lambda: evaluate.main(sys.argv[1:])))
