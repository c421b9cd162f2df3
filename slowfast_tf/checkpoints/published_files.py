"""The files of the published networks, and the networks that are refused. See `published`."""

_CAFFE2 = "model_zoo/kinetics400"
_AVA = "model_zoo/ava"
_MULTIGRID = "pyslowfast/model_zoo/multigrid/model_zoo"


def _mmaction2(config: str, stamp: str) -> str:
    """Return the path of a detection network's file, which is named after its configuration."""
    return f"detection/{config.partition('_')[0]}/{config}/{config}_{stamp}.pth"


# From name (network, data set, publisher; "ava" is v2.2) to file and top-1 and top-5 accuracy or mAP, if published.
FILES: dict[str, tuple[str, tuple[float, ...]]] = {
    "slow_4x16_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWONLY_4x16_R50.pkl", (72.7, 90.3)),
    "slow_8x8_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWONLY_8x8_R50.pkl", (74.8, 91.6)),
    "slowfast_4x16_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWFAST_4x16_R50.pkl", (75.6, 92.0)),
    "slowfast_8x8_r50_k400_pyslowfast": (f"{_CAFFE2}/SLOWFAST_8x8_R50.pkl", (77.0, 92.6)),
    "slowfast_8x8_r50_stepwise_k400_pyslowfast": (f"{_MULTIGRID}/Kinetics/SLOWFAST_8x8_R50_stepwise.pkl", (76.8, 92.7)),
    "slowfast_8x8_r50_multigrid_k400_pyslowfast": (
        f"{_MULTIGRID}/Kinetics/SLOWFAST_8x8_R50_stepwise_multigrid.pkl",
        (76.6, 92.7),
    ),
    "slowfast_16x8_r50_ssv2_pyslowfast": (f"{_MULTIGRID}/SSv2/SLOWFAST_16x8_R50.pkl", (63.0, 88.5)),
    "slowfast_16x8_r50_multigrid_ssv2_pyslowfast": (f"{_MULTIGRID}/SSv2/SLOWFAST_16x8_R50_multigrid.pkl", (63.5, 88.7)),
    "slowfast_16x8_r50_charades_pyslowfast": (f"{_MULTIGRID}/Charades/SLOWFAST_16x8_R50.pkl", (38.9,)),
    "slowfast_16x8_r50_multigrid_charades_pyslowfast": (
        f"{_MULTIGRID}/Charades/SLOWFAST_16x8_R50_multigrid.pkl",
        (38.6,),
    ),
    "slow_4x16_r50_ava_pyslowfast": (f"{_AVA}/C2D_8x8_R50.pkl", (19.5,)),
    "slowfast_8x8_r101_nl_ava21_pyslowfast": (f"{_AVA}/SLOWFAST_32x2_R101_50_50_v2.1.pkl", (28.2,)),
    "slowfast_8x8_r101_nl_ava_pyslowfast": (f"{_AVA}/SLOWFAST_32x2_R101_50_50.pkl", (29.1,)),
    "slowfast_16x8_r101_nl_ava_pyslowfast": (f"{_AVA}/SLOWFAST_64x2_R101_50_50.pkl", (29.4,)),
    # The networks from which the three networks for AVA were fine-tuned.
    "slowfast_8x8_r101_nl_v21_k600_pyslowfast": (f"{_AVA}/pretrain/SLOWFAST_32x2_R101_50_50_v2.1.pkl", ()),
    "slowfast_8x8_r101_nl_k600_pyslowfast": (f"{_AVA}/pretrain/SLOWFAST_32x2_R101_50_50.pkl", ()),
    "slowfast_16x8_r101_nl_k600_pyslowfast": (f"{_AVA}/pretrain/SLOWFAST_64x2_R101_50_50.pkl", ()),
    "slow_4x16_r50_k400_pytorchvideo": ("kinetics/SLOW_4x16_R50.pyth", (72.40, 90.18)),
    "slow_8x8_r50_k400_pytorchvideo": ("kinetics/SLOW_8x8_R50.pyth", (74.58, 91.63)),
    "slowfast_4x16_r50_k400_pytorchvideo": ("kinetics/SLOWFAST_4x16_R50.pyth", (75.34, 91.89)),
    "slowfast_8x8_r50_k400_pytorchvideo": ("kinetics/SLOWFAST_8x8_R50.pyth", (76.94, 92.69)),
    "slowfast_8x8_r101_k400_pytorchvideo": ("kinetics/SLOWFAST_8x8_R101.pyth", (77.90, 93.27)),
    "slowfast_16x8_r101_k400_pytorchvideo": ("kinetics/SLOWFAST_16x8_R101_50_50.pyth", (78.70, 93.61)),
    "slow_8x8_r50_ssv2_pytorchvideo": ("ssv2/SLOW_8x8_R50.pyth", (60.04, 85.19)),
    "slowfast_8x8_r50_ssv2_pytorchvideo": ("ssv2/SLOWFAST_8x8_R50.pyth", (61.68, 86.92)),
    "slow_8x8_r50_charades_pytorchvideo": ("charades/SLOW_8x8_R50.pyth", (34.72,)),
    "slowfast_8x8_r50_charades_pytorchvideo": ("charades/SLOWFAST_8x8_R50.pyth", (37.24,)),
    "slow_4x16_r50_ava_pytorchvideo": ("ava/SLOW_4x16_R50_DETECTION.pyth", (19.5,)),
    "slowfast_8x8_r50_ava_pytorchvideo": ("ava/SLOWFAST_8x8_R50_DETECTION.pyth", (24.67,)),
    "slowfast_4x16_r50_k400_mmaction2": (
        "recognition/slowfast/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb_20220901-701b0f6f.pth",
        (75.55, 92.35),
    ),
    "slowfast_8x8_r50_k400_mmaction2": (
        "recognition/slowfast/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb_20220818-1cb6dfc8.pth",
        (76.80, 92.99),
    ),
    "slowfast_8x8_r50_stepwise_k400_mmaction2": (
        "recognition/slowfast/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb"
        "/slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb_20220818-b62a501f.pth",
        (76.65, 92.86),
    ),
    "slowfast_8x8_r101_k400_mmaction2": (
        "recognition/slowfast/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb"
        "/slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb_20220818-9c0e09bd.pth",
        (78.65, 93.88),
    ),
    "slow_4x16_r50_k400_mmaction2": (
        "recognition/slowonly/slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb"
        "/slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb_20220901-f6a40d08.pth",
        (72.97, 90.88),
    ),
    "slow_8x8_r50_k400_mmaction2": (
        "recognition/slowonly/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb"
        "/slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb_20220901-2132fc87.pth",
        (75.15, 92.11),
    ),
    "slow_8x8_r101_k400_mmaction2": (
        "recognition/slowonly/slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb"
        "/slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb_20220901-e6281431.pth",
        (76.59, 92.80),
    ),
    "slow_4x16_r50_imagenet_k400_mmaction2": (
        "recognition/slowonly/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb"
        "/slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb_20220901-e7b65fad.pth",
        (75.12, 91.72),
    ),
    "slow_8x8_r50_imagenet_k400_mmaction2": (
        "recognition/slowonly/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb"
        "/slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb_20220901-df42dc84.pth",
        (76.45, 92.55),
    ),
    "slow_4x16_r50_imagenet_k700_mmaction2": (
        "recognition/slowonly/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb"
        "/slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb_20221013-98b1b0a7.pth",
        (65.52, 86.39),
    ),
    "slow_8x8_r50_imagenet_k700_mmaction2": (
        "recognition/slowonly/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb"
        "/slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb_20221013-15b93b10.pth",
        (67.67, 87.80),
    ),
    "slow_8x8_r50_imagenet_k710_mmaction2": (
        "recognition/slowonly/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb"
        "/slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb_20230612-12ce977c.pth",
        (72.39, 90.60),
    ),
    "slowfast_4x16_r101_r50_k400_mmaction2": (
        "recognition/slowfast/slowfast_r101-r50_32xb8-4x16x1-256e_kinetics400-rgb"
        "/slowfast_r101-r50_32xb8-4x16x1-256e_kinetics400-rgb_20220901-a77ac3ee.pth",
        (77.03, 92.99),
    ),
    "slow_4x16_r50_nl_imagenet_k400_mmaction2": (
        "recognition/slowonly/slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-4x16x1-steplr-150e_kinetics400-rgb"
        "/slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-4x16x1-steplr-150e_kinetics400-rgb_20220901-cf739c75.pth",
        (75.07, 91.69),
    ),
    "slow_8x8_r50_nl_imagenet_k400_mmaction2": (
        "recognition/slowonly/slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-8x8x1-steplr-150e_kinetics400-rgb"
        "/slowonly_r50-in1k-pre-nl-embedded-gaussian_8xb16-8x8x1-steplr-150e_kinetics400-rgb_20220901-df42dc84.pth",
        (76.65, 92.47),
    ),
    "slowfast_4x16_r50_ava21_mmaction2": (
        _mmaction2("slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb", "20220906-5180ea3c"),
        (24.32,),
    ),
    "slowfast_4x16_r50_context_ava21_mmaction2": (
        _mmaction2("slowfast_kinetics400-pretrained-r50-context_8xb16-4x16x1-20e_ava21-rgb", "20220906-5bb4f6f2"),
        (25.34,),
    ),
    "slowfast_8x8_r50_ava21_mmaction2": (
        _mmaction2("slowfast_kinetics400-pretrained-r50_8xb8-8x8x1-20e_ava21-rgb", "20220906-39133ec7"),
        (25.8,),
    ),
    "slowfast_8x8_r50_ava_mmaction2": (
        _mmaction2("slowfast_kinetics400-pretrained-r50_8xb6-8x8x1-cosine-10e_ava22-rgb", "20220906-d934a48f"),
        (25.9,),
    ),
    "slowfast_8x8_r50_max_ava_mmaction2": (
        _mmaction2(
            "slowfast_kinetics400-pretrained-r50-temporal-max_8xb6-8x8x1-cosine-10e_ava22-rgb", "20220906-13a9078e"
        ),
        (26.41,),
    ),
    "slowfast_8x8_r50_max_focal_ava_mmaction2": (
        _mmaction2(
            "slowfast_r50-k400-pre-temporal-max-focal-alpha3-gamma1_8xb6-8x8x1-cosine-10e_ava22-rgb",
            "20220906-dd59e26f",
        ),
        (26.65,),
    ),
    "slow_4x16_r50_ava21_mmaction2": (
        _mmaction2("slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb", "20220906-953ef5fe"),
        (20.72,),
    ),
    "slow_4x16_r50_k700_ava21_mmaction2": (
        _mmaction2("slowonly_kinetics700-pretrained-r50_8xb16-4x16x1-20e_ava21-rgb", "20220906-b3b6d44e"),
        (22.77,),
    ),
    "slow_4x16_r50_nl_ava21_mmaction2": (
        _mmaction2("slowonly_kinetics400-pretrained-r50-nl_8xb16-4x16x1-20e_ava21-rgb", "20220906-5ae3f91b"),
        (21.55,),
    ),
    "slow_8x8_r50_nl_ava21_mmaction2": (
        _mmaction2("slowonly_kinetics400-pretrained-r50-nl_8xb16-8x8x1-20e_ava21-rgb", "20220906-9760eadb"),
        (23.77,),
    ),
    "slow_8x8_r101_ava21_mmaction2": (
        _mmaction2("slowonly_kinetics400-pretrained-r101_8xb16-8x8x1-20e_ava21-rgb", "20220906-43f16877"),
        (24.83,),
    ),
    "slow_4x16_r50_avakinetics_mmaction2": (
        _mmaction2("slowonly_k400-pre-r50_8xb8-4x16x1-10e_ava-kinetics-rgb", "20221205-33e3ca7c"),
        (24.53,),
    ),
    "slow_4x16_r50_k700_avakinetics_mmaction2": (
        _mmaction2("slowonly_k700-pre-r50_8xb8-4x16x1-10e_ava-kinetics-rgb", "20221205-a07e8c15"),
        (25.87,),
    ),
    "slow_8x8_r50_avakinetics_mmaction2": (
        _mmaction2("slowonly_k400-pre-r50_8xb8-8x8x1-10e_ava-kinetics-rgb", "20221205-8f8dff3b"),
        (26.1,),
    ),
    "slow_8x8_r50_k700_avakinetics_mmaction2": (
        _mmaction2("slowonly_k700-pre-r50_8xb8-8x8x1-10e_ava-kinetics-rgb", "20221205-16a01c37"),
        (27.82,),
    ),
    "slow_8x8_r50_k700_context_avakinetics_mmaction2": (
        _mmaction2("slowonly_k700-pre-r50-context_8xb8-8x8x1-10e_ava-kinetics-rgb", "20221205-5d514f8c"),
        (28.31,),
    ),
    "slow_8x8_r50_k700_context_max_avakinetics_mmaction2": (
        _mmaction2("slowonly_k700-pre-r50-context-temporal-max_8xb8-8x8x1-10e_ava-kinetics-rgb", "20221205-5b5e71eb"),
        (28.48,),
    ),
    "slow_8x8_r50_k700_context_max_hidden_avakinetics_mmaction2": (
        _mmaction2(
            "slowonly_k700-pre-r50-context-temporal-max-nl-head_8xb8-8x8x1-10e_ava-kinetics-rgb", "20221205-87624265"
        ),
        (29.83,),
    ),
    "slow_8x8_r50_k700_context_max_hidden_focal_avakinetics_mmaction2": (
        _mmaction2(
            "slowonly_k700-pre-r50-context-temporal-max-nl-head_8xb8-8x8x1-focal-10e_ava-kinetics-rgb",
            "20221205-37aa8395",
        ),
        (30.33,),
    ),
    "slow_16x4_r50_k700_context_max_hidden_focal_avakinetics_mmaction2": (
        _mmaction2("slowonly_k700-pre-r50_8xb8-16x4x1-10e-tricks_ava-kinetics-rgb", "20221205-dd652f81"),
        (31.29,),
    ),
    "slowfast_4x16_r50_multisports_mmaction2": (
        _mmaction2("slowfast_kinetics400-pretrained-r50_8xb16-4x16x1-8e_multisports-rgb", "20230320-af666368"),
        (36.88,),
    ),
    "slow_4x16_r50_multisports_mmaction2": (
        _mmaction2("slowonly_kinetics400-pretrained-r50_8xb16-4x16x1-8e_multisports-rgb", "20230320-a1ca5e76"),
        (26.4,),
    ),
}

# The other networks of these zoos: zoo, networks, and why they are refused.
_NOT_BUILT = "no SlowFast network"
OTHERS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "PySlowFast model zoo",
        (
            "C2D NOPOOL 8x8 R50 (K400)",
            "I3D 8x8 R50 (K400)",
            "I3D NLN 8x8 R50 (K400)",
            "X3D XS, S, M, L (K400)",
            "MViTv1 and v2, rev-MViT (K400, K600, SSv2)",
        ),
        _NOT_BUILT,
    ),
    (
        "PyTorchVideo model zoo",
        (
            "C2D 8x8 R50 (K400)",
            "I3D 8x8 R50 (K400)",
            "CSN 32x2 R101 (K400)",
            "R(2+1)D 16x4 R50 (K400)",
            "X3D XS, S, M, L (K400)",
            "MViT B (K400)",
        ),
        _NOT_BUILT,
    ),
    (
        "MMAction2 model zoo",
        (
            "SlowFast-ACRN 8x8 R50 (AVA v2.1, v2.2)",
            "Slow-only LFB 4x16 R50, non-local, max and mean (AVA v2.1)",
        ),
        "another head: a relation network (ACRN), or features of the whole film (LFB)",
    ),
    (
        "MMAction2 model zoo",
        ("OmniSource Slow-only 8x8 R50 (K400)",),
        "another backbone (OmniResNet), which is trained on images as well",
    ),
    ("MMAction2 model zoo", ("TPN Slow-only 8x8 R50 (K400)",), "a temporal pyramid (TPN) behind the backbone"),
    ("MMAction2 model zoo", ("PoseC3D, RGBPoseConv3D",), "another input: heatmaps of skeletons"),
)
