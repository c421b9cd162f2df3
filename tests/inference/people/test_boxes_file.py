"""Boxes from csv and JSON files."""

import json

import pytest

from slowfast_tf.errors import InputError
from slowfast_tf.inference.people import Person
from slowfast_tf.inference.people.boxes_file import read_boxes


@pytest.mark.parametrize(
    "row, message",
    [
        ("1,nan,0,1,1", "corners nan, 0, 1, 1 are not fractions"),
        ("1,-0.5,0,1,1", "corners -0.5, 0, 1, 1 are not fractions"),
        ("1,0.5,0,0.4,1", "corners 0.5, 0, 0.4, 1 are swapped"),
        ("1,0.5,0,0.5,1", "the box has no area"),
        ("3.1,0,0,1,1", "second 3.1 is not in the video, which lasts 3.00 s"),
        ("-1,0,0,1,1", "second -1 is not in the video"),
        ("nan,0,0,1,1", "second nan is not in the video"),
        ("1,0,0,1,1,2", "score 2 is not from 0 to 1"),
        ("1,0,0,1,one", "expected second,x1,y1,x2,y2"),
        ("1,0,0,1", "expected second,x1,y1,x2,y2"),
    ],
)
def test_bad_boxes_have_a_row(row, message, tmp_path):
    (tmp_path / "b.csv").write_text(f"second,x1,y1,x2,y2\n1,0,0,1,1\n\n{row}\n")
    with pytest.raises(InputError, match=rf"b\.csv:4: {message}") as error:
        read_boxes(tmp_path / "b.csv", 3.0)
    assert "\n" not in str(error.value)
    time, *values = (float(x) if x != "one" else x for x in row.split(","))
    entry = {"time": time, "box": values[:4], **({"score": values[4]} if len(values) > 4 else {})}
    (tmp_path / "b.json").write_text(json.dumps([{"time": 1, "box": [0, 0, 1, 1]}, entry]))
    with pytest.raises(InputError, match=rf"b\.json, box 1 \(from 0\): {message}"):
        read_boxes(tmp_path / "b.json", 3.0)


def test_boxes_of_both_kinds(tmp_path):
    (tmp_path / "b.csv").write_text("2,0,0,1,1\n1,0.1,0.2,0.3,0.4,0.5\n")
    entries = [{"time": 2, "box": [0, 0, 1, 1]}, {"time": 1, "box": [0.1, 0.2, 0.3, 0.4], "score": 0.5}]
    (tmp_path / "b.json").write_text(json.dumps(entries))
    expected = [Person(1.0, (0.1, 0.2, 0.3, 0.4), 0.5), Person(2.0, (0.0, 0.0, 1.0, 1.0), 1.0)]
    for name in ("b.csv", "b.json"):
        assert read_boxes(str(tmp_path / name), 3.0) == expected
    tracked = [{**entry, "track": track} for entry, track in zip(entries, (3, 0))]
    (tmp_path / "b.json").write_text(json.dumps({"video": "a.mp4", "people": tracked}))
    assert [person.track for person in read_boxes(tmp_path / "b.json", 3.0)] == [0, 3]
    for name, content, message in (
        ("none.csv", None, "cannot read the boxes .*none.csv"),
        ("empty.csv", "time,x1,y1,x2,y2\n", "empty.csv holds no box"),
        ("bad.json", "{", "bad.json is not JSON"),
        ("dict.json", "{}", "dict.json holds a dict; expected a list"),
        ("track.json", '[{"time": 0, "box": [0, 0, 1, 1], "track": 0.5}]', "track 0.5 is not a whole number"),
        (
            "some.json",
            json.dumps([tracked[0], entries[1]]),
            "some.json: 1 of 2 boxes have a track; give all of them one",
        ),
        ("list.json", "[1]", "list.json, box 0 .from 0.: expected second"),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=message):
            read_boxes(tmp_path / name, 3.0)
