"""People in a user's own videos: the same content as csv, from CVAT and from VIA, and mistakes in these files."""

import json
import re
import shutil

import fsspec
import numpy as np
import pytest
from helpers.coded_video import write

from slowfast_tf.data import datasets
from slowfast_tf.data.reference import Box
from slowfast_tf.errors import InputError

# In a frame of 128 x 96 pixels, and as shares.
LEFT, RIGHT, LEFT_PIXELS, RIGHT_PIXELS = (
    (0.125, 0.25, 0.5, 0.75),
    (0.5, 0.25, 0.875, 1),
    (16, 24, 64, 72),
    (64, 24, 112, 96),
)
CSV = """video,second,x1,y1,x2,y2,action,person
street.mp4,0.5,0.125,0.25,0.5,0.75,walk;talk,0
street.mp4,0.5,0.5,0.25,0.875,1,sit,1
street.mp4,1.5,0.125,0.25,0.5,0.75,none,0
park.mp4,0.5,0.5,0.25,0.875,1,walk,0
park.mp4,0.5,0.125,0.25,0.5,0.75,,1
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two seconds at 10 frames a second, and one at about 30."""
    folder = tmp_path_factory.mktemp("videos")
    images = [np.full((96, 128, 3), 5 * t, np.uint8) for t in range(30)]
    write(folder / "street.mp4", images[:20], rate=10)
    write(folder / "park.mp4", images, times=[round(1000 * t / 29.97) for t in range(30)])
    return folder


@pytest.fixture
def root(tmp_path, videos):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "videos").symlink_to(videos)
    return tmp_path


def put(root, name, text):
    path = root / "annotations" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def box(frame, corners, *attributes, outside=0):
    sides = " ".join(f'{name}="{x:.2f}"' for name, x in zip(("xtl", "ytl", "xbr", "ybr"), corners))
    values = "".join(f'\n      <attribute name="{name}">{value}</attribute>' for name, value in attributes)
    about = f'frame="{frame}" keyframe="1" outside="{outside}" occluded="0" {sides} z_order="0"'
    return f"\n    <box {about}>{values}\n    </box>"


def task(number, video, size, step=1):
    return f"""<task>
      <id>{number}</id>
      <name>some work</name>
      <size>{size}</size>
      <mode>interpolation</mode>
      <subset>train</subset>
      <start_frame>0</start_frame>
      <stop_frame>{step}</stop_frame>
      <frame_filter>{f"step={step}" if step > 1 else ""}</frame_filter>
      <original_size>
        <width>128</width>
        <height>96</height>
      </original_size>
      <source>{video}</source>
    </task>"""


def cvat(meta, tracks):
    """Tracks are (label, task, boxes)."""
    found = ""
    for i, (label, number, boxes) in enumerate(tracks):
        more = f' task_id="{number}" subset="train"' if number else ""
        found += f'\n  <track id="{i}" label="{label}" source="manual"{more}>{boxes}\n  </track>'
    head = f"<meta>\n    {meta}\n    <dumped>2026-01-01 10:00:00.1+00:00</dumped>\n  </meta>"
    text = f"<annotations>\n  <version>1.1</version>\n  {head}{found}\n</annotations>\n"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}'


def action(value):
    return ("action", value), ("comment", "x")


# The boxes of frames that are no key frame are elsewhere.
MOVED = (3, 3, 30, 30)
FIRST = (
    *(box(4, MOVED, *action("walk;talk")), box(5, LEFT_PIXELS, *action("walk;talk"))),
    *(box(6, MOVED, *action("x"), outside=1), box(15, LEFT_PIXELS, *action("none"))),
)
STREET = [("person", "7", "".join(FIRST)), ("person", "7", box(5, RIGHT_PIXELS, *action("sit")))]
# Frame 15 at 29.97 a second is at 0.5005 s.
PARK = [
    ("person", "8", box(20 + 15, RIGHT_PIXELS, *action("walk"))),
    (
        "person",
        "8",
        box(20 + 14, MOVED, *action("__undefined__")) + box(20 + 15, LEFT_PIXELS, *action("__undefined__")),
    ),
]


def project():
    tasks = task(7, "street.mp4", 10, step=2) + task(8, "park.mp4", 30)
    return cvat(f"<project>\n<id>1</id>\n<tasks>{tasks}</tasks>\n</project>", STREET + PARK)


def via():
    actions = {"0": "walk", "1": "talk", "2": "sit", "3": "none"}
    about = {"anchor_id": "FILE1_Z1_XY1", "desc": "", "default_option_id": ""}
    attributes = {
        "1": {"aname": "Action", "type": 2, "options": actions, **about},
        "2": {"aname": "name", "type": 1, "options": {}, **about},
    }
    shapes = [
        ("1", [0.5], [2, 16, 24, 48, 48], "0,1"),
        ("1", [0.5], [8, 64, 50, 112, 60, 80, 24, 90, 96], "2"),  # an extreme rectangle: points on its sides
        ("1", [1.5], [2, 16, 24, 48, 48], "3"),
        ("1", [0.2, 1.7], [], "0"),  # a span of time
        ("2", [0.501], [2, 64, 24, 48, 72], "0"),
        ("2", [0.501], [2, 16, 24, 48, 48], ""),
    ]
    metadata = {
        f"{view}_{i:08d}": {"vid": view, "flg": 0, "z": z, "xy": xy, "av": {"1": value, "2": "Jo"}}
        for i, (view, z, xy, value) in enumerate(shapes)
    }
    return json.dumps(
        {
            "project": {"pid": "__VIA_PROJECT_ID__", "pname": "mine", "vid_list": ["1", "2"]},
            "config": {"file": {"loc_prefix": {"1": ""}}, "ui": {}},
            "attribute": attributes,
            "file": {
                "1": {"fid": "1", "fname": "street.mp4", "type": 4, "loc": 1, "src": "street.mp4"},
                "2": {"fid": 2, "fname": "park.mp4", "type": 4, "loc": 3, "src": "/films/park.mp4"},
            },
            "metadata": metadata,
            "view": {"1": {"fid_list": ["1"]}, "2": {"fid_list": [2]}},
        }
    )


@pytest.mark.parametrize("form", ["csv", "cvat", "cvat of tasks", "via"])
def test_all_forms_give_the_same(root, form):
    if form == "cvat of tasks":
        put(root, "train/a.xml", cvat(task(7, "street.mp4", 20), [(label, "", boxes) for label, _, boxes in STREET]))
        alone = [
            (label, "", re.sub(r'frame="(\d+)"', lambda m: f'frame="{int(m[1]) - 20}"', x)) for label, _, x in PARK
        ]
        path = put(root, "train/b.xml", cvat(task(8, "park.mp4", 30), alone))
    else:
        name, text = {"csv": ("train.csv", CSV), "cvat": ("train.xml", project()), "via": ("train.json", via())}[form]
        path = put(root, name, text)
    found = datasets.load_split("people", root, "train")
    assert found.labels == ("sit", "talk", "walk")
    street, nobody, park = found.videos
    assert (street.path, street.id, street.key, street.span) == (
        f"{root}/videos/street.mp4",
        "street.mp4,0.5",
        0.5,
        (0, 3.5),
    )
    assert street.boxes == (Box(LEFT, (2, 1)), Box(RIGHT, (0,)))
    assert (nobody.id, nobody.boxes) == ("street.mp4,1.5", (Box(LEFT),))
    assert (park.id, park.key, park.boxes) == ("park.mp4,0.5", 0.5, (Box(RIGHT, (2,)),))
    (problem,) = found.problems
    assert problem.startswith(f"{path}: 1 boxes without an action, such as ") and "'none'" in problem
    with pytest.raises(InputError, match="boxes without an action"):
        datasets.load_split("people", root, "train", strict=True)


@pytest.mark.parametrize("name, text", [("train.csv", CSV), ("train.xml", project()), ("train.json", via())])
def test_videos_of_one_name(root, videos, name, text):
    """Boxes name a video without its directory, so two of the same name are an error, but only if boxes refer to it."""
    (root / "videos").unlink()
    for folder in ("a", "b"):
        (root / "videos" / folder).mkdir(parents=True)
        (root / "videos" / folder / "other.mp4").write_text(folder)
    for video in ("street.mp4", "park.mp4"):
        shutil.copy(videos / video, root / "videos" / "a")
    (root / "videos" / "b" / "street.mp4").symlink_to(root / "videos" / "a" / "street.mp4")  # the same file
    put(root, name, text)
    assert len(datasets.load_split("people", root, "train").videos) == 3
    shutil.copy(videos / "park.mp4", root / "videos" / "b")
    with pytest.raises(InputError, match=f"{root}/videos/a/park.mp4 and {root}/videos/b/park.mp4 have the same name"):
        datasets.load_split("people", root, "train")


def test_cvat_checkboxes_and_labels(root):
    """Without an attribute "action" the ticked boxes are the actions, or else the label."""
    ticked = box(5, LEFT_PIXELS, ("walk", "true"), ("talk", "false"), ("sit", "true"))
    tracks = [
        ("person", "", ticked),
        ("dog", "", box(5, RIGHT_PIXELS)),
        ("x", "", box(15, LEFT_PIXELS, ("walk", "false"))),
    ]
    put(root, "train.xml", cvat(task(1, "street.mp4", 20), tracks))
    found = datasets.load_split("people", root, "train")
    assert found.labels == ("dog", "sit", "walk") and len(found.problems) == 1  # one has no box ticked
    assert [x.boxes for x in found.videos] == [(Box(LEFT, (2, 1)), Box(RIGHT, (0,)))]


def test_cvat_boxes_beside_the_middle_frame(root):
    """Only some frames of a video may have boxes; a box may leave the frame."""
    tracks = [("run", "", box(2, (-9, 24, 64, 72)) + box(12, LEFT_PIXELS) + box(19, MOVED) + box(44, MOVED))]
    path = put(root, "train.xml", cvat(task(1, "films/street.mp4", 20), tracks))
    found = datasets.load_split("people", root, "train")
    assert [x.key for x in found.videos] == [0.2, 1.2]
    assert found.videos[0].boxes == (Box((0, 0.25, 0.5, 0.75), (0,)),)
    assert found.problems == (f"{path}: boxes in 1 frames that street.mp4 does not have, such as 44; it has 20 frames",)


def test_predicted_boxes_in_validation(root):
    put(root, "train.csv", CSV)
    put(root, "val.csv", "street,0.5,0.125,0.25,0.5,0.75,walk\nstreet,0.5,0.125,0.25,0.5,0.75,sit\n")
    (alone,) = datasets.load_split("people", root, "val").videos
    assert alone.id == "street.mp4,0.5" and alone.boxes == (Box(LEFT, (2, 0)),)
    put(
        root,
        "val_boxes.csv",
        "street.mp4,0.5,0.125,0.25,0.5,0.74,0.9\nstreet.mp4,0.5,0.5,0.25,0.875,1,0.8\npark.mp4,0.5,0,0,1,1,2\n",
    )
    found = datasets.load_split("people", root, "val")
    assert found.labels == ("sit", "talk", "walk") and "score 2 is not from 0 to 1" in found.problems[0]
    assert found.videos[0].boxes == (Box((0.125, 0.25, 0.5, 0.74), (2, 0), 0.9), Box(RIGHT, (), 0.8))
    # The metric compares with the annotated ones.
    truth = datasets.annotations("people", root)
    assert truth.names == {1: "sit", 2: "talk", 3: "walk"} and truth.excluded == set()
    assert truth.boxes.actions.tolist() == [3, 1] and truth.boxes.corners.tolist() == [list(LEFT)] * 2
    assert truth.boxes.videos.tolist() == ["street.mp4"] * 2 and truth.boxes.times.tolist() == [0.5, 0.5]
    put(root, "val_boxes.csv", "street.mp4,0.7,0.125,0.25,0.5,0.74,0.9\n")
    with pytest.raises(InputError, match="no box at a time .* such as street.mp4,0.5; remove the file"):
        datasets.load_split("people", root, "val")


def test_records_have_their_own_annotations(root, tmp_path, monkeypatch):
    """In a directory, or at an address."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    put(root, "train.csv", CSV)
    put(root, "val.xml", project())
    texts = datasets.annotation_texts("people", root)
    (tmp_path / "records" / "annotations").mkdir(parents=True)
    for name, content in texts.items():
        (tmp_path / "records" / "annotations" / name).write_bytes(content)
        fsspec.filesystem("memory").pipe(f"/people/records/annotations/{name}", content)
    expected = datasets.annotations("people", root)
    assert 0 in expected.boxes.actions
    for place in (tmp_path / "records", "memory://people/records"):
        found = datasets.annotations("people", place)
        assert found.names == expected.names
        for name in ("videos", "times", "corners", "actions", "scores"):
            np.testing.assert_array_equal(getattr(found.boxes, name), getattr(expected.boxes, name))


def test_labels_txt(root):
    put(root, "labels.txt", "walk\nsit\n\nwave\n")
    put(root, "train.csv", CSV.replace("talk", "wavee"))
    found = datasets.load_split("people", root, "train")
    assert found.labels == ("walk", "sit", "wave") and found.videos[0].boxes[0].labels == (0,)
    assert "train.csv:2: unknown action 'wavee'; did you mean 'wave'?" in found.problems[0]
    put(root, "labels.txt", "walk\nwalk\n")
    with pytest.raises(InputError, match=r"labels.txt: class 'walk' is listed twice"):
        datasets.load_split("people", root, "train")


def test_wrong_rows(root, videos):
    rows = [
        "street.mp4,0.5,0.1,0.2,0.5,0.9,walk,0",
        "street.mp4,0.5,0.1,0.2,0.5,0.9,walk,0",
        "street.mp4,-1,0.1,0.2,0.5,0.9,walk,0",
        "street.mp4,1.5,0.5,0.2,0.1,0.9,walk,0",
        "street.mp4,1.5,12,20,64,90,walk,0",
        "street.mp4,1.5,0.1,0.2,0.5,0.9",
        "street.mp4,now,0.1,0.2,0.5,0.9,walk",
        ",1.5,0.1,0.2,0.5,0.9,walk",
        "street.mp4,1.5,0.1,0.2,0.5,0.9,walk, talk,0",
        "gone.mp4,1.5,0.1,0.2,0.5,0.9,walk",
    ]
    path = put(root, "train.csv", "\n".join(rows))
    found = datasets.load_split("people", root, "train")
    expected = {
        2: "listed again",
        3: "second -1 is not a time in a video",
        4: "must be ascending fractions, from 0 to 1",
        5: "must be ascending fractions, from 0 to 1",
        6: "expected video,second,x1,y1,x2,y2,action[,person]; received",
        7: "expected video,second",
        8: "no video",
        9: "expected video,second,x1,y1,x2,y2,action[,person]; received 'street.mp4,1.5,0.1,0.2,0.5,0.9,walk, talk,0'",
    }
    *problems, missing = found.problems
    assert len(problems) == len(expected) and missing.endswith(f"1 of its videos not found in {root}/videos: gone.mp4")
    for line, text in expected.items():
        assert [text in x for x in problems if x.startswith(f"{path}:{line}: ")] == [True], text
    assert [x.boxes for x in found.videos] == [(Box((0.1, 0.2, 0.5, 0.9), (0,)),)]


EMPTY = re.sub("walk(;talk)?|sit|none", "", CSV)
IMAGES = cvat(task(1, "a.mp4", 2), []).replace("</meta>", '</meta><image id="0"/>')
BOMB = """<?xml version="1.0"?>
<!DOCTYPE annotations [
  <!ENTITY a "aaaaaaaaaa">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
]>
<annotations>&b;</annotations>"""


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("train.csv", EMPTY, "train.csv: its 5 boxes have no action"),
        ("train.csv", "street.mp4,00:00:01,0.1,0.2,0.5,0.9,walk", "no box can be read; .*train.csv:1: expected video,"),
        ("train.csv", "video,second,x1,y1,x2,y2,action\n", "train.csv: no box can be read; put videos there"),
        ("train.csv", "a.mp4;0,5;0,1;0,1;0,2;0,2;walk", "commas must divide the columns"),
        ("train.xml", BOMB, r"train.xml:2: a document type with entities"),
        ("train.xml", "<annotations><meta>", "train.xml is not XML: no element found"),
        ("train.xml", "<html/>", "no annotations of CVAT, received an element <html>; export the task"),
        ("train.xml", IMAGES, "an export as 'CVAT for images'"),
        ("train.xml", cvat("", []), "no task in its meta data"),
        ("train.xml", cvat(task(1, "a.mp4", "two"), []), "a number of the task is wrong"),
        ("train.json", "{", "train.json is not JSON"),
        ("train.json", '{"_via_img_metadata": {}}', "no project of VIA 3: no attribute, file, view, metadata"),
        ("train.txt", "", "no train.csv, train.xml, train.json or directory train in"),
        ("train/x.txt", "", "train: no file with the suffix .csv, .xml, .json"),
    ],
)  # fmt: skip
def test_mistakes(root, name, text, message):
    put(root, name, text)
    with pytest.raises(InputError, match=message) as error:
        datasets.load_split("people", root, "train")
    assert "\n" not in str(error.value)


def test_wrong_places(root, tmp_path):
    put(root, "train.csv", CSV)
    put(root, "train.json", via())
    with pytest.raises(InputError, match=r"has train.csv and train.json; keep one of them"):
        datasets.load_split("people", root, "train")
    (root / "annotations" / "train.json").unlink()
    with pytest.raises(InputError, match=r"no val.csv, .*find_people --val VIDEO lists some"):
        datasets.load_split("people", root, "val")
    with pytest.raises(InputError, match=r"people is not in .*: no .*videos, .*annotations; put videos there"):
        datasets.load_split("people", tmp_path / "none", "train")


def test_wrong_boxes_of_via(root):
    content = json.loads(via())
    some = dict(content["metadata"])
    first = next(iter(some.values()))
    some["circle"] = {**first, "xy": [3, 50, 50, 10]}
    some["later"] = {**first, "xy": [2, 500, 24, 48, 48]}
    some["span"] = {**first, "z": [1, 2]}
    some["broken"] = {"vid": "9"}
    some["option"] = {**first, "z": [1.5], "xy": [2, 64, 24, 48, 72], "av": {"1": "0,9"}}
    put(root, "train.json", json.dumps({**content, "metadata": some}))
    problems = datasets.load_split("people", root, "train").problems
    for name, text in {
        "circle": "a shape that is not a rectangle; received xy=[3.0, 50.0, 50.0, 10.0]",
        "later": "nothing of the box is in the frame of 128 x 96 pixels",
        "span": "which is not a frame of a video",
        "broken": "expected vid, z, xy and av of a video",
        "option": "unknown option '9' of 'Action'",
    }.items():
        assert [text in x for x in problems if f"train.json:{name}: " in x] == [True]


def test_wrong_boxes_of_cvat(root, videos):
    """The classes do not depend on which videos are there, and can be read."""
    (root / "videos").unlink()
    (root / "videos").mkdir()
    (root / "videos" / "street.mp4").symlink_to(videos / "street.mp4")
    (root / "videos" / "park.mp4").write_text("no video")
    broken = task(7, "street.mp4", 20) + task(8, "park.mp4", 30) + task(9, "gone.mp4", 30)
    wrong = box(5, LEFT_PIXELS, ("action", "sit")).replace('ytl="24.00"', "")
    tracks = [
        *STREET,
        ("person", "7", wrong),
        ("person", "8", box(35, MOVED, ("action", "dig"))),
        ("person", "9", box(60, MOVED, ("action", "eat"))),
    ]
    put(root, "train.xml", cvat(f"<project><tasks>{broken}</tasks></project>", tracks))
    found = datasets.load_split("people", root, "train")
    assert found.labels == ("dig", "eat", "sit", "talk", "walk") and len(found.videos) == 2
    first, second, third = found.problems
    assert "expected xtl, ytl, xbr and ybr in pixels; received frame='5'" in first
    assert "park.mp4: cannot be read as a video" in second
    assert third.endswith(": gone.mp4") and "1 of its videos not found" in third
