"""Prints a network in the format of the paper's Table 1, with its parameters and multiply-adds. Without a network,
lists the published networks. Needs no TensorFlow.
"""

import argparse
import json
import pathlib

from .checkpoints.catalog import catalog, catalog_page, catalog_text
from .checkpoints.names import FORMS, read_spec
from .config.comparison import configurations_pages
from .config.reference import keys_page
from .errors import InputError
from .files.atomic import check_output, write_text
from .models.cost_table import table
from .models.description import as_text, describe
from .runtime import run


def main(argv: list[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.describe",
        description=__doc__,
        epilog="example: python -m slowfast_tf.describe slowfast_8x8_r50 --json",
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="NAME_OR_FILE",
        help=f"a preset, {FORMS}; by default all published networks",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--size", type=int, default=256, help="height and width of the input (default: 256)")
    parser.add_argument("--figure", metavar="FILE.png", help="draw the network: a clip's frames and each stage's size")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing figure")
    parser.add_argument("--table", metavar="FILE", help="write the cost table of the paper's networks as Markdown")
    parser.add_argument("--networks", metavar="FILE", help="write the table of published networks as Markdown")
    parser.add_argument(
        "--configurations", metavar="DIRECTORY", help="write comparisons of the published configurations with ours"
    )
    parser.add_argument("--keys", metavar="FILE", help="write the keys of a configuration as Markdown")
    args = parser.parse_args(argv)
    pages = ((args.table, table), (args.networks, catalog_page), (args.keys, keys_page))
    texts = {pathlib.Path(path): page() for path, page in pages if path}
    if args.configurations:
        texts |= {pathlib.Path(args.configurations, name): text for name, text in configurations_pages().items()}
    if texts:
        if args.source or args.figure or args.json:
            raise InputError("pages about the package are written alone; leave out the network, --figure and --json")
        for path, text in texts.items():
            check_output(path, text.partition("\n")[0])
        for path, text in texts.items():
            write_text(path, text)
        return
    if args.figure and args.json:
        raise InputError("--figure writes a PNG instead of JSON; leave out one of them")
    if args.source is None:
        if args.figure:
            raise InputError("--figure draws one network; give its name or file")
        print(json.dumps(catalog(), indent=2) if args.json else catalog_text())
        return
    if args.figure:
        figure = pathlib.Path(args.figure)
        if figure.suffix.lower() != ".png":
            raise InputError(f"--figure writes a PNG; give a name that ends in .png; got {figure}")
        if figure.exists() and not args.overwrite:
            raise InputError(f"{figure} exists; give another --figure, or --overwrite to replace it")
    spec = read_spec(args.source)
    try:
        spec.check_size(args.size)
    except ValueError as error:
        raise InputError(f"--size {args.size}: {error}") from error
    if args.figure:
        # Imported here, because importing Matplotlib takes half a second.
        from .inference.plots import save_figure
        from .models.figure import network_figure

        save_figure(network_figure(spec, args.size), args.figure)
        return
    print(json.dumps(describe(spec, args.size), indent=2) if args.json else as_text(args.source, spec, args.size))


if __name__ == "__main__":
    run(main)
