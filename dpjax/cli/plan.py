"""`python -m dpjax plan`: what a run needs, also on a TPU slice that is not here."""

import argparse
import dataclasses
import json
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Prints the plan of a config.

    Args:
        arguments: what was typed after `plan`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: no such config or topology, or a step that does not fit.
    """
    parser = argparse.ArgumentParser(
        "python -m dpjax plan",
        usage="%(prog)s CONFIG [--topology v5e:4x4] [--json] [--FIELD VALUE ...]",
        description=__doc__,
        epilog="Fields of the config may follow, such as --data.batch-size 128.",
        allow_abbrev=False,
    )
    parser.add_argument("config", help="a file below configs/")
    parser.add_argument(
        "--topology",
        metavar="NAME",
        help="generation and grid of chips: v5e:4x4, v5p:2x4x4, v6e:2x4",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options, rest = parser.parse_known_args(arguments)

    import jax

    from dpjax.cli import experiments, startup

    experiment = experiments.read_config(options.config)
    experiment = experiments.override(
        experiment, rest, f"python -m dpjax plan {options.config}"
    )
    if options.topology and jax.config.jax_platforms is None:
        # Only the compiler is wanted; do not look for a TPU in this machine.
        jax.config.update("jax_platforms", "cpu")
    startup.open_backend(experiment.data.batch_size)

    from dpjax.training import plan

    found = plan.make_plan(experiment, options.topology)
    if options.json:
        print(json.dumps(dataclasses.asdict(found), indent=2))
    else:
        print(plan.render(found))
    return 0
