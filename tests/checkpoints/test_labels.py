"""Class names of the published data sets."""

import pytest

from slowfast_tf.labels import DATASETS, FOLDER, dataset_labels, guess_labels

# Names that PySlowFast, MMAction2 or the data sets' own lists give to these indices.
KNOWN = {
    "kinetics400": {0: "abseiling", 5: "archery", 399: "zumba"},
    "kinetics600": {0: "abseiling", 1: "acting in play", 599: "zumba"},
    "kinetics700": {0: "abseiling", 1: "acting in play", 699: "zumba"},
    "kinetics710": {0: "abseiling", 399: "zumba", 400: "poaching eggs", 709: "bull fighting"},
    "charades": {0: "Holding some clothes", 59: "Sitting in a chair", 156: "Someone is eating something"},
    # Action ids count from 1: 12 is "stand", 80 "watch (a person)". Ids 2 and 16 are not evaluated.
    "ava": {0: "bend/bow (at the waist)", 1: "crawl", 11: "stand", 15: "brush teeth", 79: "watch (a person)"},
    "ssv2": {0: "Approaching something with your camera", 173: "Wiping something off of something"},
    "multisports": {0: "aerobic_push_up", 65: "basketball_jump_ball"},
}


@pytest.mark.parametrize("name", KNOWN)
def test_labels(name):
    labels = dataset_labels(name)
    assert len(labels) == len(set(labels)) == DATASETS[name]
    assert all(label and label == label.strip() for label in labels)
    assert {i: labels[i] for i in KNOWN[name]} == KNOWN[name]
    if name in ("kinetics400", "kinetics600", "kinetics700"):
        assert list(labels) == sorted(labels)


def test_every_file_is_a_data_set():
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(DATASETS) == set(KNOWN)
    with pytest.raises(ValueError, match="no class names of 'kinetics'; known: kinetics400, "):
        dataset_labels("kinetics")


def test_guess():
    for name, classes in DATASETS.items():
        assert guess_labels(classes, "roi" if name in ("ava", "multisports") else "pool") == dataset_labels(name)
    assert guess_labels(80) == guess_labels(400, "roi") == guess_labels(101) == ()
