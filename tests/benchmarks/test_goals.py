"""The table of goals, worked by hand."""

from helpers.benchmarks import job, rows

from slowfast_tf.benchmarks import goals, measure, page


def test_table():
    lines = goals.table(
        [
            goals.Goal("a", 0.75, 0.754),  # 0.75 as printed
            goals.Goal("b", 0.75, 0.76),
            goals.Goal("c", 1.6, 1.6, least=True),
            goals.Goal("d", 1.6, 1.59, least=True),
            goals.Goal("e", 1.2, 1.25, unit=" GiB"),
            goals.Goal("not measured", 1.0, None),
        ]
    )
    assert lines[0] == ""
    assert [row[3] for row in rows("\n".join(lines))] == ["yes", "[no](performance.md)"] * 2 + ["[no](performance.md)"]
    assert lines[-1] == "| e | at most 1.2 GiB | 1.25 GiB | [no](performance.md) |"
    assert goals.table([goals.Goal("not measured", 1.0, None)]) == []


def test_goals_of_engines():
    """Times are compared with the fastest peer, memory with the smallest one."""
    timed = {
        ("tensorflow", "float32"): (3.0, 6.0),
        ("pytorch", "float32"): (4.0, 8.0),
        ("pytorch_compiled", "float32"): (5.0, 5.0),
        ("tensorflow", "bfloat16"): (2.0, 6.0),
    }
    results = [measure.Result(job("training", *key), [s], int(peak * 2**30)) for key, (s, peak) in timed.items()]
    assert [goal.value for goal in page.reached(results)] == [0.75, None, 1.2]
    saved = measure.Result(job("inference", "saved_model"), [1.0], 2**30)
    assert [goal.value for goal in page.reached([saved])] == [None, None, None, 1.0]
