"""`python -m dpjax report PATHS...`: tables and pages from receipts."""

import dataclasses
import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dpjax import errors, storage
from dpjax.inference import page, report


@dataclasses.dataclass(frozen=True)
class Options:
    """Prints the results table of receipts; writes it into a README, or as a page.

    Attributes:
        paths: receipts, or folders that hold some, such as results or runs/a.
        output: an HTML page with every image's score and the worst pictures.
        readme: a Markdown file whose table between the result markers is replaced.
    """

    paths: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PATHS")
    ]
    output: Annotated[
        Path | None, tyro.conf.arg(aliases=["-o"], metavar="report.html")
    ] = None
    readme: Annotated[Path | None, tyro.conf.arg(metavar="README.md")] = None


def main(arguments: Sequence[str]) -> int:
    """Prints the table and writes what was asked for.

    Args:
        arguments: what was typed after `report`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a path that does not exist, or a README without markers.
        DataError: no receipts, or a damaged one.
        StorageError: a file cannot be written.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax report")
    if not options.paths:
        raise errors.UserError(
            "report wants receipts, or folders that hold some: "
            "python -m dpjax report results runs/a."
        )
    entries = report.load(options.paths)
    print(report.markdown(entries, relative_to=Path.cwd()))
    if options.readme is not None:
        try:
            document = options.readme.read_text()
        except OSError as error:
            raise errors.UserError(
                f"Cannot read {options.readme}: {error.strerror}."
            ) from error
        table = report.markdown(entries, relative_to=options.readme.resolve().parent)
        storage.replace(options.readme, report.insert(document, table).encode())
    if options.output is not None:
        template = importlib.resources.files("dpjax.cli") / "templates/report.html"
        html = page.render(entries, template.read_text())
        storage.replace(options.output, html.encode())
        print(f"\n{options.output}: {len(entries)} receipts")
    return 0
