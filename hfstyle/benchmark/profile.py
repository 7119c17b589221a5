"""Internal to `hfstyle.benchmark`: where the time of painting goes, and how near the arithmetic comes to the processor's peak."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from hfstyle.images.arrays import as_float
from hfstyle.images.geometry import pad_to_multiple
from hfstyle.images.load import load_image
from hfstyle.models.fast import channels_last
from hfstyle.styles.code import StyleCode

if TYPE_CHECKING:
    from hfstyle.pipeline import StyleTransferPipeline

__all__ = ["format_profile", "profile"]

_KINDS: Final = {
    "convolutions": "mkldnn_convolution convolution _convolution conv2d thnn_conv2d _slow_conv2d_forward "
    "cudnn_convolution convolution_overrideable",
    "matrix products": "mm addmm bmm baddbmm matmul linear einsum mkldnn_linear",
    "activations": "leaky_relu leaky_relu_ tanh tanh_ softmax _softmax",
    "padding": "reflection_pad2d pad",
    "resizing": "upsample_bilinear2d avg_pool2d pixel_unshuffle pixel_shuffle adaptive_avg_pool2d "
    "_adaptive_avg_pool2d _upsample_bicubic2d_aa",
    "means and deviations": "mean sum var var_mean square pow rsqrt sqrt batch_norm_update_stats",
    "other arithmetic": "add add_ sub sub_ mul mul_ div div_ addcmul addcmul_ clamp clamp_ lerp round round_ ne any "
    "native_batch_norm",
    "copies": "copy_ _to_copy to clone contiguous cat stack empty empty_like empty_strided resize_ flatten",
}
_KIND_OF: Final = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_OTHER: Final = "other operations"
_OUTSIDE: Final = "between operations (Python, pictures)"
_MATRIX: Final = 2048  # side of the product that shows the peak
_TRIES: Final = 5
_TURNS: Final = 9


def profile(
    pipe: StyleTransferPipeline, picture: Image.Image, code: StyleCode, seconds: float
) -> dict[str, Any]:
    """Where the time goes when a picture is painted on a CPU.

    Args:
        pipe: warmed up.
        picture: to paint.
        code: its style.
        seconds: how long that takes without a profiler.

    Returns:
        "shares" (of the time under the profiler, by kind of operation; they
        sum to 1), "gflop" (of convolutions and matrix products, a multiplication and an addition being two),
        "gflop_per_second" (of the whole), "gflop_per_second_in_products" (while convolutions and products run),
        "peak_gflop_per_second" (of a product of two matrices of 2048 x 2048 in the same type, the best of 5),
        "call_seconds" and "network_seconds" (of a call and of the network alone, in turns, the best of 9 each: what the call
        adds is reading and returning pixels, looking for faces, and sparing them).
    """

    with FlopCounterMode(display=False) as counter:
        pipe(picture, code, processing_resolution="full")
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities) as profiler:
        begun = time.perf_counter()
        pipe(picture, code, processing_resolution="full")
        profiled = time.perf_counter() - begun
    times: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = _KIND_OF.get(event.key.removeprefix("aten::"), _OTHER)
        times[kind] = times.get(kind, 0.0) + event.self_cpu_time_total / 1e6 / profiled
    times[_OUTSIDE] = max(0.0, 1 - sum(times.values()))
    call, network = _call_and_network(pipe, picture, code)
    gflop = counter.get_total_flops() / 1e9
    products = times.get("convolutions", 0.0) + times.get("matrix products", 0.0)
    return {
        "shares": dict(sorted(times.items(), key=lambda item: -item[1])),
        "gflop": gflop,
        "gflop_per_second": gflop / seconds,
        "gflop_per_second_in_products": gflop / (products * profiled) if products else None,
        "peak_gflop_per_second": _peak(pipe.dtype),
        "call_seconds": call,
        "network_seconds": network,
    }


def format_profile(result: dict[str, Any]) -> str:
    """A result of the task "profile" as text."""
    found = result["profile"]
    peak = found["peak_gflop_per_second"]
    lines = [
        f"{result['size']} x {result['size']} px, {result['dtype']}, {result['threads']} threads: "
        f"{result['seconds']:.3f} s",
        *(f"  {share:6.1%}  {kind}" for kind, share in found["shares"].items()),
        f"{found['gflop']:.1f} GFLOP in convolutions and matrix products, "
        f"{found['gflop_per_second']:.0f} GFLOP/s over the whole time: "
        f"{found['gflop_per_second'] / peak:.0%} of the {peak:.0f} GFLOP/s of a large matrix product;",
    ]
    call, network = found["call_seconds"], found["network_seconds"]
    lines.append(
        f"a call takes {call / network:.3f} times as long as the network alone ({call:.3f} s and {network:.3f} s, the best of "
        f"{_TURNS} in turns);"
    )
    within = found["gflop_per_second_in_products"]
    if within is not None:
        lines.append(f"{within / peak:.0%} of it while convolutions and products run")
    return "\n".join(lines)


def _call_and_network(
    pipe: StyleTransferPipeline, picture: Image.Image, code: StyleCode
) -> tuple[float, float]:
    """Seconds of a call, and of the network alone on content and style that are ready."""
    network, painter = pipe.generator, pipe.painter
    pixels = as_float(load_image(picture).rgb[None].to(painter.device))
    padded, _ = pad_to_multiple(pixels, network.size_multiple, network.minimum_size)
    content = channels_last(padded)
    condition = code.to_condition(1, painter.device, painter.dtype)
    strength = torch.ones(1, device=painter.device)

    def paint() -> None:
        with torch.inference_mode(), painter.autocast():
            network(content, condition, strength)

    def call() -> None:
        pipe(picture, code, processing_resolution="full")

    best = [float("inf"), float("inf")]
    for _ in range(_TURNS):
        for place, function in enumerate((call, paint)):
            begun = time.perf_counter()
            function()
            best[place] = min(best[place], time.perf_counter() - begun)
    return best[0], best[1]


def _peak(dtype: torch.dtype) -> float:
    """GFLOP/s of a product of large matrices, the best of several."""
    matrix = torch.rand(_MATRIX, _MATRIX, dtype=dtype)
    best = float("inf")
    with torch.inference_mode():
        for _ in range(_TRIES + 1):
            begun = time.perf_counter()
            matrix @ matrix
            best = min(best, time.perf_counter() - begun)
    return 2 * _MATRIX**3 / best / 1e9
