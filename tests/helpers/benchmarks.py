"""Tiny benchmark jobs, and the rows of the tables that benchmarks print."""

from slowfast_tf.benchmarks.engines import Job

TINY = ("--preset", "slowfast_2x16_demo", "--size", "32", "--rounds", "1")


def rows(text):
    """The cells of the rows of a Markdown table, without head and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def job(task, engine, precision="float32", **changes):
    return Job(
        task, engine, precision, **{"preset": "slowfast_2x16_demo", "size": 32, "batch": 1, "threads": 2, **changes}
    )
