"""The second round of controlled experiments, on its way to replace the first.

One protocol, in which each arm changes one thing. In the first, full width
lost its accuracy halfway with two of three seeds: SEARCH is how a cure was
looked for, and the clipped gradient of PROTOCOL is what was found.

Nothing here is measured on the test images: an arm is judged by the 5,000
training images set aside, over several seeds.
"""

PROTOCOL = {
    "about": "One arm of a controlled experiment.",
    "model": "network.mobilenet_v1", "network": {"alpha": 0.25},
    "optimizer": {
        "class_name": "SGD", "learning_rate": 0.2, "momentum": 0.9,
        "nesterov": True, "weight_decay": 5e-3, "global_clipnorm": 1.0},
    "warmup": 2, "smoothing": 0.1, "augment": True, "norm_momentum": 0.9,
    "batch": 256, "epochs": 15, "validation": 5000,
}

# BODY of network.py with the first stride dropped: a last map of 4 x 4 where
# the stem drops its stride too.
LATE = (
    (64, 1), (128, 1), (128, 1), (256, 2), (256, 1),
    (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1),
)

# BODY without its five equal blocks, the paper's shallow network (table 5).
SHALLOW = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (1024, 2),
    (1024, 1),
)

# Of each optimiser, learning rates about half a decade apart: four, and more
# above them, since the best of four was the highest. None has weight decay,
# which Keras would scale by the rate, and none clips the gradient: that would
# hide at which rate a training fails.
OPTIMIZERS = {
    "sgd": ({"class_name": "SGD", "momentum": 0.9, "nesterov": True},
            (0.03, 0.1, 0.3, 1.0, 3.0)),
    "nadam": ({"class_name": "Nadam"},
              (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)),
    "rmsprop": ({"class_name": "RMSprop", "epsilon": 1e-7},
                (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)),
    "rmsprop-epsilon-1": ({"class_name": "RMSprop", "epsilon": 1.0},
                          (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)),
}

# What each arm changes in the protocol; None leaves a part of it out. The
# stem's stride is 2 unless a name says otherwise; "late" has stride 1 in the
# stem and in the first stride-2 block; "full" has full convolutions; "from 16
# to 32" has lost what a side of 16 cannot hold, and costs what 32 costs; "v2"
# is MobileNetV2; "taught" learns from a trained network too (distillation.py).
ARMS = {
    **{f"width-{alpha}": {"network": {"alpha": alpha}}
       for alpha in (0.1875, 0.25, 0.5, 0.75, 1.0)},
    **{f"stem-1-width-{alpha}": {
        "network": {"alpha": alpha, "stem_stride": 1}}
       for alpha in (0.25, 0.5, 1.0)},
    # By the network of better-stem-1, which never saw the images set aside.
    "taught-stem-1-width-0.25": {
        "network": {"alpha": 0.25, "stem_stride": 1},
        "teacher": "better-stem-1",
        "smoothing": None,
        "loss": {"class_name": "mobilenet>TaughtCrossentropy", "config": {
            "temperature": 4.0, "taught": 0.9, "smoothing": 0.1}}},
    **{f"v2-stem-1-width-{alpha}": {
        "model": "network_v2.mobilenet_v2",
        "network": {"alpha": alpha, "stem_stride": 1}}
       for alpha in (0.6, 1.4)},
    **{f"late-width-{alpha}": {
        "network": {"alpha": alpha, "stem_stride": 1, "body": LATE}}
       for alpha in (0.125, 0.25)},
    **{f"full-width-{alpha}": {
        "network": {"alpha": alpha, "separable": False}}
       for alpha in (0.09375, 0.25)},
    **{f"stem-1-side-{name}": {
        "network": {"alpha": 0.25, "stem_stride": 1}, "sides": sides}
       for name, sides in (
           ("16", (16,)), ("24", (24,)), ("from-16-to-32", (16, 32)))},
    **{f"shallow-width-{alpha}": {
        "network": {"alpha": alpha, "body": SHALLOW}}
       for alpha in (0.25, 1.0)},
    "stride-on-pointwise": {
        "network": {"alpha": 0.25, "stride_on": "pointwise"}},
    "no-augmentation": {"augment": False},
    "no-smoothing": {"smoothing": 0.0},
    "no-decay": {"optimizer": {**PROTOCOL["optimizer"], "weight_decay": 0.0}},
    "no-schedule": {"warmup": None},
    "norm-momentum-0.99": {"norm_momentum": 0.99},
    **{f"{name}-rate-{rate}": {
        "optimizer": {**settings, "learning_rate": rate}}
       for name, (settings, rates) in OPTIMIZERS.items() for rate in rates},
}

# Full width as the first round trained it, and one change at a time that may
# keep it from losing accuracy; the change that did is PROTOCOL, whose full
# width is the arm "width-1.0".
UNCLIPPED = {
    name: part for name, part in PROTOCOL["optimizer"].items()
    if name != "global_clipnorm"}
SEARCH = {
    "cure-rate-0.1": {
        "network": {"alpha": 1.0},
        "optimizer": {**UNCLIPPED, "learning_rate": 0.1}},
    "cure-warmup-5": {
        "network": {"alpha": 1.0}, "optimizer": UNCLIPPED, "warmup": 5},
}
ARMS.update(SEARCH)

# Which arms answer which question, the reference first.
QUESTIONS = {
    "strides, equal width": (
        "width-0.25", "stem-1-width-0.25", "late-width-0.25"),
    "strides, 3 M multiply-adds": (
        "width-0.5", "stem-1-width-0.25", "late-width-0.125"),
    "strides, 12 M multiply-adds": (
        "width-1.0", "stem-1-width-0.5", "late-width-0.25"),
    "full, equal width": ("width-0.25", "full-width-0.25"),
    "full, 0.8 M multiply-adds": ("width-0.25", "full-width-0.09375"),
    "full, 6.4 M multiply-adds": ("width-0.75", "full-width-0.25"),
    "version, 12 M multiply-adds": (
        "stem-1-width-0.5", "v2-stem-1-width-0.6"),
    "version, 46 M multiply-adds": (
        "stem-1-width-1.0", "v2-stem-1-width-1.4"),
    "taught by a large network": (
        "stem-1-width-0.25", "taught-stem-1-width-0.25"),
    "width": ("width-0.25", "width-0.5", "width-0.75", "width-1.0"),
    "thin or shallow, 0.5 M multiply-adds": (
        "width-0.1875", "shallow-width-0.25"),
    "thin or shallow, 6.4 M multiply-adds": (
        "width-0.75", "shallow-width-1.0"),
    "which convolution strides": ("width-0.25", "stride-on-pointwise"),
    "recipe": (
        "width-0.25", "no-augmentation", "no-smoothing", "no-decay",
        "no-schedule", "norm-momentum-0.99"),
    "side": (
        "stem-1-width-0.25", "stem-1-side-24", "stem-1-side-16",
        "stem-1-side-from-16-to-32"),
    "optimiser": tuple(
        f"{name}-rate-{rate}" for name, (_, rates) in OPTIMIZERS.items()
        for rate in rates),
}


SEEDS = (1, 2, 3)
ONE_SEED = QUESTIONS["version, 46 M multiply-adds"]  # hours each

# A race to an accuracy on the images set aside: the note's optimiser and
# ours, on the note's network, with one input pipeline. Both train in the fused
# batch norm, with the momentum that Keras gives the note's.
RACE_GOAL = 0.635
RACE = {
    "note": {
        "model": "network.mobilenet_v1",
        "network": {"stride_on": "pointwise", "use_bias": True},
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
        "norm_momentum": 0.99, "batch": 128, "epochs": 30,
        "validation": 5000},
    "ours": {
        "model": "network.mobilenet_v1",
        "network": {"stride_on": "pointwise", "use_bias": True},
        "optimizer": {"class_name": "Nadam", "learning_rate": 0.1},
        "warmup": 0.25, "norm_momentum": 0.99, "batch": 128, "epochs": 4,
        "validation": 5000},
}


def recipe(arm, seed):
    """Return the recipe of an arm of ARMS with a seed, a whole number."""
    parts = {**PROTOCOL, **ARMS[arm], "seed": seed}
    return {name: part for name, part in parts.items() if part is not None}


def best_rates(reached):
    """Return, for each optimiser, its arm that is best with the first seed.

    reached maps (arm, seed) to a validation accuracy. An optimiser of which
    a rate was not tried yet is left out.
    """
    best = []
    for name, (_, rates) in OPTIMIZERS.items():
        arms = [f"{name}-rate-{rate}" for rate in rates]
        if all((arm, SEEDS[0]) in reached for arm in arms):
            best.append(max(arms, key=lambda arm: reached[arm, SEEDS[0]]))
    return best


def left(reached):
    """Return the (arm, seed) pairs that are still to be trained, in order.

    Each arm takes every seed, but those of ONE_SEED take the first, and of an
    optimiser only the best rate takes more.
    reached is that of best_rates.
    """
    once = {*QUESTIONS["optimiser"], *ONE_SEED} - {*best_rates(reached)}
    pairs = [(arm, seed) for seed in SEEDS for arm in ARMS
             if seed == SEEDS[0] or arm not in once]
    return [pair for pair in pairs if pair not in reached]
