"""Videos for predictions, and the scores that plain code expects of them."""

import numpy as np
import tensorflow as tf

from .coded_video import coded, decode, write


def write_videos(root):
    """Real files, with more or fewer frames than a clip's 32, of even and odd sizes: their paths."""
    random = np.random.default_rng(0)
    paths = []
    for i, (count, height, width) in enumerate([(50, 40, 64), (9, 51, 35), (1, 32, 32), (33, 35, 51)]):
        texture = random.integers(0, 256, (height, width, 3))
        images = [((texture + coded(t % 256, height, width)) // 2).astype(np.uint8) for t in range(count)]
        paths.append(write(root / f"v{i}.mp4", images, pix_fmt="yuv444p", g=12, bf=2))
    return paths


def middle_scores(infer, path):
    """Scores of the middle clip and crop of a video, by plain code."""
    frames = decode(path)
    start = max(len(frames) - 32, 0) // 2
    clip = frames[np.minimum(start + np.arange(0, 32, 2), len(frames) - 1)]
    height, width = frames.shape[1:3]
    shape = (32, width * 32 // height) if height <= width else (height * 32 // width, 32)
    top, left = (int(np.ceil((side - 32) / 2)) for side in shape)
    clip = tf.image.resize(clip, shape).numpy()[None, :, top : top + 32, left : left + 32]
    return infer(((clip / 255 - 0.45) / 0.225).astype(np.float32))[0]


def window_scores(infer, path, starts):
    """Scores of the windows that start at some frames, by plain code; frames are 40 x 48."""
    frames = decode(path)
    clips = np.stack([frames[start : start + 32 : 2] for start in starts])
    clips = tf.image.resize(clips.reshape(-1, 40, 48, 3), (32, 38)).numpy()[:, :, 3:35].reshape(-1, 16, 32, 32, 3)
    return infer(((clips / 255 - 0.45) / 0.225).astype(np.float32))


def single_views(infer, path, clips, crops):
    """Scores of every view of a video, one forward pass each; frames, starts and pixels worked out plainly."""
    frames = decode(path)
    height, width = frames.shape[1:3]
    shape = (32, width * 32 // height) if height <= width else (height * 32 // width, 32)
    room = [side - 32 for side in shape]
    scores = []
    for clip in range(clips):
        start = int((len(frames) - 32) * clip / clips)
        resized = tf.image.resize(frames[start : start + 32 : 2], shape).numpy() / 255
        for crop in range(crops):
            top, left = (int(np.ceil(r * crop / (crops - 1))) for r in room)
            view = (resized[None, :, top : top + 32, left : left + 32] - 0.45) / 0.225
            scores.append(infer(view.astype(np.float32))[0])
    return np.array(scores)
