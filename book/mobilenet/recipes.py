"""Every long recipe of the book as data: what is trained, on what and how.

A recipe holds what may differ from run to run. model is the function that
builds the network, as module.function of this package, and network its
arguments beside the shape and the ten classes. validation is how many
training images are set aside and never trained on.

Where they are given, start is the recipe whose weights, in weights/, are the
first ones; warmup the epochs in which the learning rate climbs to its peak, to
fall along a cosine to 0 in the rest; smoothing the share of each label spread
over all classes; augment shifts and mirrors the images; cutout is the side of
a grey square in each; small gives the first epochs images of a smaller side;
sides resizes the images of all epochs, in turn, to these sides; norm_momentum
is that of batch norm's moving statistics, in the fused layer.

Keras multiplies weight_decay by the learning rate and leaves momentum out:
with momentum 0.9, 5e-3 pulls as much as 5e-4 in the gradient.
"""

V1 = "network.mobilenet_v1"

# The note's network and optimisers.
NOTE = {
    "model": V1, "network": {"stride_on": "pointwise", "use_bias": True},
    "optimizer": {"class_name": "Nadam", "learning_rate": 0.01},
    "batch": 128, "epochs": 12, "validation": 0, "seed": 1,
}
NOTE_RECIPES = {
    "note-nadam": {
        "about": "The note's network and optimiser, all 50,000 images.",
        **NOTE,
    },
    "note-nadam-validation": {
        "about": "The same, 5,000 of the training images set aside.",
        **NOTE, "validation": 5000,
    },
    "note-nadam-seed-2": {
        "about": "The same again, with another seed.",
        **NOTE, "validation": 5000, "seed": 2,
    },
    "note-rmsprop": {
        "about": "The optimiser that the note gives the paper.",
        **NOTE, "epochs": 15,
        "optimizer": {"class_name": "RMSprop", "learning_rate": 0.1},
    },
    "note-rmsprop-epsilon": {
        "about": "The same with the epsilon of Inception's training, 1.",
        **NOTE, "epochs": 15,
        "optimizer": {
            "class_name": "RMSprop", "learning_rate": 0.1, "epsilon": 1.0},
    },
}

BETTER = {
    "model": V1, "network": {"stem_stride": 1},
    "optimizer": {
        "class_name": "SGD", "learning_rate": 0.2, "momentum": 0.9,
        "nesterov": True, "weight_decay": 5e-3},
    "warmup": 3, "smoothing": 0.1, "augment": True, "norm_momentum": 0.9,
    "batch": 256, "epochs": 30, "validation": 5000, "seed": 1,
}
BETTER_RECIPES = {
    "better-note": {
        "about": "A better recipe on the note's network.",
        **BETTER, "network": NOTE["network"],
    },
    "better-note-plain": {
        "about": "The same without shifting and mirroring the images.",
        **BETTER, "network": NOTE["network"], "augment": False,
    },
    "better-stem-1": {
        "about": "The better recipe on strides that small images want.",
        **BETTER,
    },
}

# Trained on from another's end: a lower peak, a shorter warm-up, cutout.
MORE = {
    **BETTER, "warmup": 1, "cutout": 12,
    "optimizer": {**BETTER["optimizer"], "learning_rate": 0.08},
}
BEST_RECIPES = {
    "best-cutout": {
        "about": "Longer, with cutout, the first epochs on smaller images.",
        **BETTER, "epochs": 80, "cutout": 12,
        "small": {"epochs": 48, "side": 24},
    },
    "best-more": {
        "about": "better-stem-1 trained on with cutout, from a lower rate.",
        "start": "better-stem-1", **MORE, "epochs": 36, "seed": 2,
    },
    "best-all": {
        "about": "best-more trained on in the same way, on all 50,000 images.",
        "start": "best-more", **MORE, "epochs": 42, "validation": 0,
        "seed": 3,
    },
}

# Whether weight decay is what makes channels die.
CAUSE_RECIPES = {
    "better-no-decay": {
        "about": "better-stem-1 with no weight decay.",
        **BETTER,
        "optimizer": {**BETTER["optimizer"], "weight_decay": None},
    },
}

# A quarter of the channels, and strides as late as the experiments have them:
# network.BODY without its first stride, so that the last map is 4 x 4.
SMALL_RECIPES = {
    "small": {
        **BEST_RECIPES["best-cutout"],
        "about": "best-cutout's settings on a network of 0.2 M parameters.",
        "network": {"alpha": 0.25, "stem_stride": 1, "body": (
            (64, 1), (128, 1), (128, 1), (256, 2), (256, 1),
            (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
            (1024, 2), (1024, 1))},
    },
}

RECIPES = {
    **NOTE_RECIPES, **BETTER_RECIPES, **BEST_RECIPES, **CAUSE_RECIPES,
    **SMALL_RECIPES}
