"""A worker of a training run that writes its weights down: `python tests/helpers/worker.py NPZ ARGUMENTS OF TRAIN`."""

import sys

sys.argv[0] = "slowfast_tf"  # as a command imports TensorFlow: by itself, in half the time

from slowfast_tf import runtime  # noqa: E402, see above

if __name__ == "__main__":
    runtime.import_tensorflow()
    import numpy as np

    from slowfast_tf import train
    from slowfast_tf.training import checkpointing

    weights, arguments = sys.argv[1], sys.argv[2:]
    save = checkpointing.Checkpoints._save

    def save_and_note(self, path):
        save(self, path)
        np.savez(weights, *self.saved.get_weights())

    checkpointing.Checkpoints._save = save_and_note
    sys.argv[1:] = arguments
    runtime.run(lambda: train.main(arguments))
