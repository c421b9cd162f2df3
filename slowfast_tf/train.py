"""Train, test and export a network: `python -m slowfast_tf.train --config FILE`."""

import argparse
import pathlib

from . import config, runtime
from .training.workdir import check_workdir

ADVICE = {
    "overrides": "--set takes KEY=VALUE, such as --set train.epochs=3",
    "strict": "fix them, or leave out --strict",
    "workdir": "choose another --workdir or remove it",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m slowfast_tf.train",
        description="Trains a network, tests it and exports it. The same command resumes a run that was stopped.",
        epilog="example: python -m slowfast_tf.train --config configs/demo.json --set train.epochs=30",
    )
    parser.add_argument("--config", required=True, help="a JSON file, or the name of a shipped configuration")
    parser.add_argument("--workdir", help="work directory of the run, for all files (runs/NAME)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the configuration")
    parser.add_argument("--strict", action="store_true", help="stop if an entry in the data set's lists is wrong")
    options = parser.parse_args(arguments)
    settings = config.load(options.config, options.set)
    workdir = pathlib.Path(options.workdir or f"runs/{settings.name}")
    if not runtime.has_cluster():  # several workers first agree on the configuration
        check_workdir(workdir, settings)  # report errors before importing TensorFlow, which takes seconds
    runtime.import_tensorflow()
    from .training.run import train

    result = train(settings, workdir, options.strict)
    if result is None:  # a worker that is not the chief
        return
    print(
        f"\n{result.summary()}\n"
        "Next:\n"
        f"  python -m slowfast_tf.predict VIDEO --model {workdir}\n"
        f"  python -m slowfast_tf.describe {workdir}\n"
        f"  tensorboard --logdir {workdir}/tensorboard"
    )


if __name__ == "__main__":
    runtime.run(main, ADVICE)
