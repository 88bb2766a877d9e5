"""Side-by-side measurements; each module is a script that writes JSON to results/."""

import dpjax.cli  # noqa: F401  memory is kept as by every command, for peers as well
