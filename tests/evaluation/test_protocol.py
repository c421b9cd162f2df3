"""Which protocol a test follows where model and configuration differ."""

import pytest
from helpers.configurations import MINIMAL

from slowfast_tf import config
from slowfast_tf.errors import InputError
from slowfast_tf.evaluation.protocol import OVERRIDABLE, check_labels, choose
from slowfast_tf.models.presets import get_spec
from slowfast_tf.models.views import Views

MODEL = get_spec("slowfast_8x8_r50", frame_rate=30.0, views=Views(4, 1), crop_size=224)
OTHER = get_spec("slowfast_8x8_r50", frame_rate=25.0, channel_order="bgr", depth=101)


def test_equal_protocols_print_nothing():
    assert choose(MODEL, MODEL) == (MODEL, [])
    # What does not decide a score may differ: dropout, class names, the number of classes.
    other = get_spec(MODEL, dropout=0.1, num_classes=3, labels=("a", "b", "c"))
    assert choose(MODEL, other) == (MODEL, [])


def test_the_model_has_priority_and_one_line_says_so():
    spec, lines = choose(MODEL, OTHER)
    assert spec == MODEL
    assert lines == [
        "the model's own protocol is used: frame_rate 30.0, not 25.0; views 4x1, fused by mean, not 10x3, fused by"
        ' mean; crop_size 224, not 256; channel_order "rgb", not "bgr"; --set overrides it'
    ]


def test_overrides_count():
    overrides = ["model.frame_rate=25", "test.clips=10", "model.channel_order=bgr"]
    spec, lines = choose(MODEL, OTHER, config.overridden(overrides))
    assert (spec.frame_rate, spec.views, spec.channel_order) == (25, Views(10, 1), "bgr")
    assert spec.crop_size == 224 and len(lines) == 1 and "crop_size" in lines[0]
    # The key of earlier versions.
    assert config.overridden(["data.frame_rate=25"]) == {"model.frame_rate"}


def test_an_override_of_a_view_keeps_the_models_other_fields():
    model = get_spec(MODEL, views=Views(10, 3, to_the_end=True, fuse="max"))
    configured = get_spec(MODEL, views=Views(1, 1))
    spec, lines = choose(model, configured, {"test.clips"})
    assert spec.views == Views(1, 3, to_the_end=True, fuse="max")
    assert "views 1x3 to the end, fused by max, not 1x1, fused by mean" in lines[0]
    every = {"test.clips", "test.crops", "test.to_the_end", "test.fuse"}
    assert choose(model, configured, every) == (configured, [])


@pytest.mark.parametrize(
    "override, message",
    [
        ("model.width=4", "model.width: the weights are for 64; received 4"),
        ("model.depth=18", "model.depth: the weights are for 50; received 18"),
        ("model.fast_kernels=[5, 5, 5, 5, 5]", r"model.fast_kernels: the weights are for \[5, 3, 3, 3, 3\]"),
        ("model.preset=slowfast_8x8_r101", "model.depth: the weights are for 50; received 101"),
        ("model.preset=slow_8x8_r50", 'model.pathways: the weights are for .* received \\["slow"\\]'),
        ("model.preset=slowfast_8x8_r50_nl", 'model.nonlocal_kind: the weights are for "none"; received "dot_product"'),
    ],
)
def test_every_field_of_the_network_is_fixed(put, override, message):
    path = put({**MINIMAL, "model": {"preset": "slowfast_8x8_r50"}})
    with pytest.raises(InputError, match=message):
        choose(MODEL, config.load(path, [override]).spec(), config.overridden([override]))


def test_overrides_that_agree_with_the_network():
    """A published network may differ from its preset, such as in its lateral connections."""
    published = get_spec(MODEL, lateral_norm=False, lateral_kernel=5)
    assert choose(published, MODEL, {"model.preset", "model.depth", "model.width"}) == (published, [])
    # Another kind of non-local block, and what only training reads.
    published = get_spec("slowfast_8x8_r50_nl", nonlocal_kind="softmax", nonlocal_pool_last=True)
    configured = get_spec("slowfast_8x8_r50_nl", dropout=0.0)
    assert choose(published, configured, {"model.preset", "model.dropout"}) == (published, [])


def test_weights_cannot_be_overridden():
    with pytest.raises(InputError, match="model.frames: the weights are for 8; received 4") as error:
        choose(MODEL, get_spec("slowfast_4x16_r50"), {"model.frames"})
    assert error.value.argument == "overrides"
    with pytest.raises(InputError, match='model.head: the weights are for "pool"; received "roi"'):
        choose(MODEL, get_spec("slowfast_8x8_r50_ava"), {"model.preset"})


def test_an_override_that_does_not_fit_is_one_line():
    with pytest.raises(InputError, match="does not fit the model: .*one clip"):
        choose(MODEL, get_spec("slowfast_8x8_r50", frame_index="segments", views=Views(1)), {"model.frame_index"})


def test_what_an_earlier_version_did_not_state():
    spec, lines = choose(MODEL, OTHER, unstated=("frame_rate", "views"))
    assert (spec.frame_rate, spec.views, spec.crop_size) == (25, Views(10, 3), 224)
    assert lines[1] == (
        "taken from the configuration, because an earlier version did not save it in the model: frame_rate 25.0; views"
        " 10x3, fused by mean"
    )


def test_person_score_applies_only_to_boxes():
    ava = get_spec("slowfast_4x16_r50_ava")
    assert choose(MODEL, get_spec(MODEL, person_score=0.9)) == (MODEL, [])
    assert "person_score 0.8, not 0.9" in choose(ava, get_spec(ava, person_score=0.9))[1][0]


def test_every_overridable_field_is_one_of_a_spec():
    assert set(OVERRIDABLE) <= set(MODEL.as_dict())


def test_labels():
    check_labels(("Riding a bike", "jump"), ("riding_a_bike", "Jump"))
    check_labels((), ("a", "b"))
    with pytest.raises(InputError, match="class 0 is 'b' in the model and 'a' in the data set, which has the same"):
        check_labels(("b", "a"), ("a", "b"))
    with pytest.raises(InputError, match="class 1 is 'c' in the model and 'b' in the data set; test"):
        check_labels(("a", "c"), ("a", "b"))


def test_labels_that_are_numbers():
    """Lists without classes.txt have indices for names. Earlier versions named AVA's other classes "action N"."""
    check_labels(("abseiling", "air drumming"), ("0", "1"))
    check_labels(("bend", "crawl"), ("bend", "action 2"))
    check_labels(("bend", "action 2"), ("bend", "crawl"))
    for model, dataset in ((("1", "0"), ("0", "1")), (("a", "b"), ("1", "0")), (("a", "b"), ("a", "action 1"))):
        with pytest.raises(InputError, match="are not those of the data set"):
            check_labels(model, dataset)
