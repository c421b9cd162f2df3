"""Small data sets in the forms that their owners publish."""

import csv

from PIL import Image

from helpers.coded_video import write
from helpers.pictures import picture

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
TRAIN = (
    HEADER + "zumba,-AAAAAAAAAA,5,15,train,0\n"
    '"riding or walking with horse",BBBBBBBBBBB,1200,1210,train,1\n'
    "abseiling,CCC_CCCC-CC,0,10,train,0\n"
    "zumba,DDDDDDDDDDD,7,17,train,0\n"
)
VAL = HEADER.replace(",is_cc", "") + "abseiling,EEEEEEEEEEE,3,13,validate\n"
CHARADES_COLUMNS = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length".split(",")
ACTIONS = {
    "AAAAA": "c000 0.00 0.40;c001 0.80 1.10;c000 1.70 2.00",
    "BBBBB": "",
    "CCCCC": "c002 0.00 2.00;c001 1.30 3.90",
}
FILM = "-5KQ66BBWC4"
NEAR, FAR = "0.100,0.200,0.500,0.900", "0.600,0.200,0.900,0.800"


def put(path, text=""):
    """Writes a file and its directories; without text one that stands for a video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def kinetics(root, train="train.csv", val="val.csv"):
    """Lists of four training videos, of which one is missing, and one to validate; files stand for the videos."""
    put(root / train, TRAIN)
    put(root / val, VAL)
    put(root / "train" / "zumba" / "-AAAAAAAAAA_000005_000015.mp4")
    put(root / "train" / "riding_or_walking_with_horse" / "BBBBBBBBBBB_001200_001210.webm")
    put(root / "train" / "abseiling" / "CCC_CCCC-CC_000000_000010.MKV")
    put(root / "val" / "EEEEEEEEEEE_000003_000013.mp4")
    return root


def charades(root, frames=False):
    """Three videos of two seconds, or their frames, in the layout of the official release; one has no action.

    Returns:
        The (class, start, end) of the actions of each video.
    """
    (root / "Charades_v1_classes.txt").write_text("c000 Holding some clothes\nc001 Putting clothes\nc002 Sitting\n")
    for name in ("train", "test"):
        with open(root / f"Charades_v1_{name}.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, CHARADES_COLUMNS)
            writer.writeheader()
            for identity, actions in ACTIONS.items():
                row = dict.fromkeys(CHARADES_COLUMNS, "text, with a comma; and more")
                writer.writerow({**row, "id": identity, "actions": actions, "length": "2.0"})
    for number, identity in enumerate(ACTIONS):
        if frames:
            folder = root / "Charades_v1_rgb" / identity
            folder.mkdir(parents=True)
            for time in range(48):
                path = folder / f"{identity}-{time + 1:06d}.jpg"
                Image.fromarray(picture(number, time)).save(path, quality=95, subsampling=0)
        else:
            (root / "Charades_v1_480").mkdir(exist_ok=True)
            images = [picture(number, time) for time in range(58)]
            write(root / "Charades_v1_480" / f"{identity}.mp4", images, pix_fmt="yuv444p", qp=1)
    return [
        [tuple(float(x) if "." in x else int(x[1:]) for x in action.split()) for action in text.split(";") if text]
        for text in ACTIONS.values()
    ]


def ava(root, version="v2.2", annotated=(), predicted=(), excluded=(), split="train"):
    """The lists and the label map of a split, of rows as they stand in its files."""
    folder = root / "annotations"
    put(folder / f"ava_{split}_{version}.csv", "".join(f"{row}\n" for row in annotated))
    put(folder / f"ava_{split}_excluded_timestamps_{version}.csv", "".join(f"{row}\n" for row in excluded))
    if predicted:
        put(folder / f"ava_{split}_predicted_boxes.csv", "".join(f"{row}\n" for row in predicted))
    labels = "".join(f'label {{\n  name: "do {i}"\n  label_id: {i}\n  label_type: X\n}}\n' for i in range(1, 81))
    put(folder / f"ava_action_list_{version}.pbtxt", labels)
    return root
