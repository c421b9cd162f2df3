"""Prepare a data set once for fast reading: `python -m slowfast_tf.prepare`."""

import argparse
from collections.abc import Sequence

from . import config, plugins, runtime
from .data.records.prepare import Report, check_installed, prepare
from .errors import InputError

ADVICE = {
    "output": "give another directory as --output, or remove this one",
    "overrides": "--set takes KEY=VALUE, such as --set prepare.short_side=256",
    "strict": "fix them, or leave out --strict",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        arguments: arguments of the command line; None for those of this process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.prepare",
        description="Writes the videos of a data set as downscaled TensorFlow records, for fast reading. The same"
        " command resumes work that was stopped. By default it uses all cores of this machine. Other"
        " options, such as --runner, are passed to Apache Beam, which can use other machines (docs/prepare.md).",
        epilog="example: python -m slowfast_tf.prepare --config configs/charades.json --output data/charades_256"
        " --set prepare.short_side=256",
    )
    parser.add_argument("--config", required=True, help="a JSON file, or the name of a shipped configuration")
    parser.add_argument("--output", required=True, help="directory to write to")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    parser.add_argument("--strict", action="store_true", help="stop if an entry in the data set's lists is wrong")
    options, beam_options = parser.parse_known_args(arguments)
    if beam_options and not any(option.split("=")[0] == "--runner" for option in beam_options):
        parser.error(f"unrecognized arguments: {' '.join(beam_options)} (Apache Beam's options need --runner)")
    if not options.output.strip("/"):
        parser.error(f"--output {options.output!r} cannot be used; give a directory for the records alone")
    settings = config.load(options.config, options.set)
    if settings.data.dataset == "records":
        raise InputError('data.dataset is "records", which are already prepared; name the data set to prepare')
    check_installed(settings.prepare)
    runtime.import_tensorflow()
    plugins.load_plugins(settings.plugins)
    print_report(prepare(settings, options.output.rstrip("/"), options.strict, beam_options))


def print_report(report: Report) -> None:
    """Print the number of prepared videos, and what was skipped."""
    if report.restored == 0:
        print(f"{report.output} is already prepared; nothing to do")
        return
    if report.restored:
        print(f"{report.output} was already prepared; {report.restored} missing or changed files were written again")
    for name, split in report.index.splits.items():
        print(
            f"{name}: {split.videos} videos, {split.frames} frames, {split.bytes / 1e6:.1f} MB"
            f" in {len(split.shards)} files of {report.output}"
        )
    if report.omissions:
        first = report.omissions[0]
        print(
            f"{len(report.omissions)} entries were skipped or fixed ({report.output}/skipped.csv), such as: {first[-1]}"
        )


if __name__ == "__main__":
    runtime.run(main, ADVICE)
