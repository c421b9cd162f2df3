"""The command `slowfast_tf`: `slowfast_tf train ...` is the same as `python -m slowfast_tf.train ...`."""

import runpy
import sys

COMMANDS = {
    "train": "train, test and export a network",
    "evaluate": "test a trained network",
    "predict": "recognize the actions in videos, or of each person",
    "find_people": "list the people of your own videos, to fill in what they do",
    "prepare": "write the videos of a data set as TensorFlow records, for fast reading",
    "export": "write a trained network for TF Serving, LiteRT or ONNX Runtime",
    "convert": "convert published weights to a .keras file",
    "describe": "print layers, parameters and multiply-adds of a network",
    "benchmark": "time training, inference and input, and compare with other libraries",
    "cross_validate": "train and test a network on every fold of a data set",
    "ablate": "repeat the ablations of the paper's Table 5 at a small scale",
    "demo": "open a page on this machine to drop videos on",
}


def main() -> None:
    """Run the command in the first argument, with the other arguments."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        del sys.argv[1]
        runpy.run_module(f"{__package__}.{name}", run_name="__main__", alter_sys=True)
    elif name in ("-h", "--help"):
        print("usage: slowfast_tf COMMAND ...\n\nSlowFast networks for video recognition.\n\ncommands:")
        for command, about in COMMANDS.items():
            print(f"  {command:14} {about}")
        print("\nslowfast_tf COMMAND --help has the options.\nexample: slowfast_tf train --config demo")
    else:
        said = f"no command {name!r};" if name else "which command?"
        print(f"error: {said} give one of {', '.join(COMMANDS)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
