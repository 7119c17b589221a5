"""What is measured: each measure's name, meaning and direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["METRICS", "Metric"]


class Metric(NamedTuple):
    """label: in tables; better: "lower" or "higher"; about: one sentence."""

    label: str
    better: str
    about: str


METRICS: Final[Mapping[str, Metric]] = {
    "lpips": Metric(
        "LPIPS (squeeze)",
        "lower",
        "perceptual distance from the content, LPIPS 0.1 with SqueezeNet",
    ),
    "ssim": Metric("SSIM", "higher", "structural similarity of luminance to the content"),
    "psnr": Metric("PSNR, dB", "higher", "against the content; none where pictures are equal"),
    "content_distance": Metric(
        "content distance",
        "lower",
        "relative difference of VGG-19 features from the content's, at relu4_1, or relu3_1 where the network ends",
    ),
    "cfsd": Metric(
        "CFSD",
        "lower",
        "content feature structural distance (Chung et al., 2024), of squares; with another VGG-19 than the original not "
        "comparable with published ones",
    ),
    "style_distance": Metric(
        "style distance",
        "lower",
        "of means and deviations of Inception-v3 features from the style's; 1 is the content's distance",
    ),
    "palette": Metric(
        "palette",
        "lower",
        "sliced Wasserstein distance from the style's colours; 1 is the content's distance",
    ),
    "fid": Metric(
        "FID", "lower", "Frechet distance from the styles at pool3 of FID's Inception-v3"
    ),
    "frechet_pool3": Metric(
        "Frechet distance, pool3",
        "lower",
        "as FID, but with another Inception-v3: not comparable with published FIDs",
    ),
    "frechet_mixed_8": Metric(
        "Frechet distance, mixed_8",
        "lower",
        "as FID, but at an earlier layer, four crops of each picture: not comparable with published FIDs",
    ),
    "frechet_relative": Metric(
        "Frechet distance, relative",
        "lower",
        "from the styles at mixed_8, in 64 leading directions; 1 is the contents' distance",
    ),
    "artfid": Metric(
        "ArtFID",
        "lower",
        "(1 + LPIPS)(1 + FID); published ones use an Inception trained on paintings and AlexNet's LPIPS",
    ),
    "artfid_pool3": Metric(
        "(1 + LPIPS)(1 + Frechet, pool3)", "lower", "as ArtFID, but with another Inception-v3"
    ),
    "artfid_mixed_8": Metric(
        "(1 + LPIPS)(1 + Frechet, mixed_8)", "lower", "as ArtFID, but at an earlier layer"
    ),
    "diversity": Metric(
        "diversity",
        "higher",
        "mean LPIPS between the outputs of one content in its different styles",
    ),
    "identity": Metric(
        "identity (SSIM)", "higher", "of a content painted in its own style, to the content"
    ),
    "stability": Metric(
        "stability",
        "lower",
        "1000 times the mean absolute change of the output after the content moved by 4 px and took 1 % of noise",
    ),
    "style_ratio": Metric(
        "model's style distance / this one's",
        "lower",
        "at the model's strength that keeps as much content (LPIPS); below 1 the model is nearer to the style",
    ),
}
