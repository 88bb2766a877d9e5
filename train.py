"""Trains a model: python train.py configs/restoration/demo.py --workdir runs/demo."""

import sys

from dpjax.cli import exits, train

if __name__ == "__main__":
    sys.exit(exits.run(lambda: train.main(sys.argv[1:])))
