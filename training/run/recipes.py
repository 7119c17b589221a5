"""Settings that belong together, by name: `--recipe NAME`. Every option that is given beside it wins.

scratch   a new model. The losses' weights are the trainer's defaults; the optimiser is that of the bundled weights' training.
continue  on from the bundled weights (or --init_from), all of them, gently, on the larger crops that they were trained on last.
own-art   from the bundled weights to a model of your own pictures in ten minutes of two cores, old styles kept.
ablation  a short run from the bundled weights and their discriminator, to change one thing at a time.
gpu       a new model on one large GPU that holds all pictures: the first stretch of the bundled weights on an H200.
"""

from __future__ import annotations

from typing import Any, Final

from hfstyle.models.hub import default_model_path

__all__ = ["RECIPES"]

_MUON: Final[dict[str, Any]] = {
    "optimizer": "muon",
    "adam_beta1": 0.9,
    "max_grad_norm": 20.0,
    "discriminator_learning_rate": 3e-4,
}
_BUNDLED: Final = str(default_model_path())

RECIPES: Final[dict[str, dict[str, Any]]] = {
    "scratch": _MUON
    | {
        "mixed_precision": "auto",
        "learning_rate": 6e-4,
        "content_zoom": (0.5, 1.25),
        "style_zoom": (0.6, 1.25),
    },
    "continue": _MUON
    | {
        "init_from": _BUNDLED,
        "mixed_precision": "auto",
        "resolution": 384,
        "loss_resolution": 320,
        "train_batch_size": 8,
        "learning_rate": 2e-4,  # small batches are noisy: a quarter of the bundled weights' rate, which had 72 pairs
        "content_zoom": (0.6, 1.1),
        "style_zoom": (0.65, 1.1),
        "content_weight": 0.6,
        "consistency_weight": 50.0,
        "adversarial_start": 0,
        "adversarial_ramp": 100,
        "full_strength_share": 0.7,
    },
    "own-art": {
        "init_from": _BUNDLED,
        "mixed_precision": "auto",
        "learn": "adapter",
        "old_styles_weight": 40.0,  # 8 let old styles change nearly twice as much
        "old_styles_share": 0.5,
        "resolution": 384,
        "loss_resolution": 288,
        "train_batch_size": 2,
        "max_train_minutes": 10.0,
        "learning_rate": 3e-3,
        "lr_warmup_steps": 10,
        "adam_beta1": 0.9,
        "max_grad_norm": 5.0,
        "ema_decay": 0.98,
        "content_zoom": (0.6, 1.1),
        "style_zoom": (
            0.8,
            1.3,
        ),  # strokes as large as in whole pictures; in smaller parts they came out too large
        "unseen_border": 0,  # borders that no loss looked at lost their colours and strokes
        "content_weight": 0.6,
        "color_jitter": 0.0,  # these pictures are to be painted like, not their variations
        "pattern_share": 0.0,
        "grain_share": 0.0,
        "paintings_as_content": 0.1,
        "full_strength_share": 0.75,
        "adversarial_weight": 1.0,  # two looks came 1.5 and 3.4 % nearer than without
        "adversarial_start": 0,
        "adversarial_ramp": 50,
        "discriminator_learning_rate": 1e-4,  # a few pictures are soon known by heart
        "logging_steps": 10,
        "checkpointing_steps": 100,
        "checkpoints_total_limit": 1,
        "validation_steps": 100,
    },
    "ablation": _MUON
    | {
        "init_from": _BUNDLED,
        "mixed_precision": "auto",
        "resolution": 192,
        "loss_resolution": 128,
        "train_batch_size": 16,
        "max_train_steps": 160,
        "learning_rate": 2e-4,
        "content_zoom": (0.5, 1.25),
        "style_zoom": (0.6, 1.25),
        "adversarial_start": 0,
        "adversarial_ramp": 20,
        "checkpointing_steps": 160,
        "validation_steps": 160,
        "seed": 7,  # all variants see the same pictures
    },
    "gpu": _MUON
    | {
        "mixed_precision": "bf16",
        "data_on_device": True,
        "resolution": 256,
        "loss_resolution": 192,
        "train_batch_size": 176,
        "learning_rate": 1e-3,
        "lr_scheduler": "linear",
        "lr_warmup_steps": 60,
        "max_train_steps": 1651,
        "content_zoom": (0.5, 1.25),
        "style_zoom": (0.6, 1.25),
        "color_jitter": 0.45,
        "ema_decay": 0.996,
        "adversarial_start": 200,
        "adversarial_ramp": 100,
        "validation_steps": 200,
        "checkpointing_steps": 400,
    },
}
