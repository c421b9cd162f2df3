"""A worker of a training run that a test watches or kills: `python tests/helpers/worker.py NOTES ARGUMENTS OF TRAIN`.

After each save it writes `NOTES.npz`: the weights, and the number of validation videos that were read so far.
`NOTES.txt` has a place, "EPOCH.STEP" or "test", where the worker kills itself, once; or the seconds that it waits for a
checkpoint ("wait 1"); or a version to have ("version 0.9.0"); or "gpu", for the code for GPUs.
"""

import os
import pathlib
import signal
import sys

sys.argv[0] = "slowfast_tf"  # as a command imports TensorFlow: by itself, in half the time

from slowfast_tf import runtime  # noqa: E402, see above

if __name__ == "__main__":
    runtime.import_tensorflow()
    import numpy as np

    import slowfast_tf

    notes, arguments = pathlib.Path(sys.argv[1]), sys.argv[2:]
    place = notes.with_suffix(".txt").read_text() if notes.with_suffix(".txt").exists() else ""
    if place.startswith("version "):
        slowfast_tf.__version__ = place.split()[1]
    from slowfast_tf import train
    from slowfast_tf.data import clips
    from slowfast_tf.data.sources import Source
    from slowfast_tf.models import base, conv_workarounds, layers
    from slowfast_tf.training import agreement, checkpointing, fitting, run

    if place == "gpu":
        for module in (base, layers, conv_workarounds, clips, fitting):
            module.HAS_GPU = True

    if place.startswith("wait "):
        agreement.PATIENCE = float(place.split()[1])
    reads = []

    def at(here):
        if place == here:
            notes.with_suffix(".txt").unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def first_readable(self, read, number, starts, rate_ratio, stand_in):
        if not stand_in:  # only a training video has a stand-in
            reads.append(number)
        return find(self, read, number, starts, rate_ratio, stand_in)

    def save_and_note(self, path):
        save(self, path)
        np.savez(notes.with_suffix(".npz"), *self.saved.get_weights(), reads=len(reads))

    def step_and_note(self, batch, logs=None):
        step(self, batch, logs)
        at(f"{self.position.epoch + 1}.{self.position.step}")

    def test_and_note(*args):
        at("test")
        return test(*args)

    find, Source._first_readable = Source._first_readable, first_readable
    save, checkpointing.Checkpoints._save = checkpointing.Checkpoints._save, save_and_note
    step, checkpointing.Checkpoints.on_train_batch_end = checkpointing.Checkpoints.on_train_batch_end, step_and_note
    test, run.test = run.test, test_and_note
    sys.argv[1:] = arguments
    runtime.run(lambda: train.main(arguments), train.ADVICE)
