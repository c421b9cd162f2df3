"""Prepares a data set once for fast reading: videos to TensorFlow records, `python -m slowfast_tf.prepare`.

A unit of work is a shard. Which videos it holds follows from the data set and the settings alone, so that shards can be
written in any order, on any machine and again. While work is under way, the folder `.prepare` of the output holds
the plan and, for each finished shard, what is in it; at the end it becomes the index.
"""

import argparse

from . import config, plugins, runtime
from .data.records.prepare import check_installed, prepare
from .errors import InputError


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.prepare",
        description="Writes the videos of a data set as TensorFlow records, scaled down, for fast reading. The same"
        " command goes on with work that was stopped. It uses all cores of this machine; with --runner and its"
        " options, Apache Beam does the work elsewhere.",
        epilog="example: python -m slowfast_tf.prepare --config configs/charades.json --output data/charades_256"
        " --set prepare.short_side=256",
    )
    parser.add_argument("--config", required=True, help="JSON configuration")
    parser.add_argument("--output", required=True, help="directory to write to")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    parser.add_argument("--strict", action="store_true", help="take problems of the data set's lists for an error")
    options, beam_options = parser.parse_known_args(arguments)
    if beam_options and not any(option.split("=")[0] == "--runner" for option in beam_options):
        parser.error(f"unrecognized arguments: {' '.join(beam_options)} (Apache Beam's options go with --runner)")
    if not options.output.strip("/"):
        parser.error(f"--output {options.output!r} is no directory of its own")
    settings = config.load(options.config, options.set)
    if settings.data.dataset == "records":
        raise InputError('data.dataset is "records", which are prepared already; name the data set to prepare')
    check_installed(settings.prepare)
    runtime.import_tensorflow()
    plugins.load(settings.plugins)
    prepare(settings, options.output.rstrip("/"), options.strict, beam_options)


if __name__ == "__main__":
    # Under its own name, where Beam's workers look functions up.
    from .prepare import main

    runtime.run(main)
