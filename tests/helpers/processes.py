"""The first lines of a script that a test runs in another process."""

# Importing `slowfast_tf` imports TensorFlow, unless the process is one of its commands.
AS_COMMAND = 'import sys; sys.argv[0] = "slowfast_tf"\n'
# TensorFlow as commands import it, in half the time: 3 s of CPU time less for each process.
QUICK_START = AS_COMMAND + "from slowfast_tf import runtime\nwith runtime.quick_start():\n    import tensorflow\n"
