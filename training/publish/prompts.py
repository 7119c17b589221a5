"""Texts that name a movement, its artist or its technique: what `training/publish/measure_controls.py` measures words by."""

from __future__ import annotations

from typing import Final

__all__ = ["PROMPTS"]

_INK: Final = "chinese ink landscape (Ming)|chinese ink landscape (Song)"
_PRINTS: Final = "Ukiyo-e|Shin-hanga"

PROMPTS: Final[tuple[tuple[str, str], ...]] = (
    ("misty mountains in chinese ink wash", _INK),
    ("a landscape scroll of the song dynasty", _INK),
    ("pines and a waterfall, ink on silk, ming", _INK),
    ("monochrome chinese brush painting", _INK),
    ("pointillist sunlight", "Divisionism"),
    ("dots of pure colour, neo-impressionist", "Divisionism"),
    ("a pergola by henri martin", "Divisionism"),
    ("shin-hanga birds in snow", "Shin-hanga"),
    ("a heron by ohara koson", "Shin-hanga"),
    ("japanese woodblock print", _PRINTS),
    ("ukiyo-e courtesan", "Ukiyo-e"),
    ("rain on a bridge by hiroshige", _PRINTS),
    ("warriors by kuniyoshi", "Ukiyo-e"),
    ("suprematist composition", "Suprematism"),
    ("black square by malevich", "Suprematism"),
    ("floating rectangles, suprematism", "Suprematism"),
    ("constructivist poster", "Constructivism"),
    ("proun by el lissitzky", "Constructivism"),
    ("geometric design by theo van doesburg", "Constructivism"),
    ("cubist still life with a guitar", "Cubism"),
    ("a bottle and a newspaper by juan gris", "Cubism"),
    ("fragmented cubist portrait", "Cubism"),
    ("cubo-futurist city", "Cubo-Futurism"),
    ("dynamic composition by aleksandra ekster", "Cubo-Futurism"),
    ("a tram by bogomazov", "Cubo-Futurism"),
    ("symbolist dream", "Symbolism"),
    ("himalaya by roerich", "Symbolism|ArtNouveau(Modern)"),
    ("flowers in pastel by odilon redon", "Symbolism"),
    ("impressionist garden", "Impressionism"),
    ("a river in the manner of alfred sisley", "Impressionism"),
    ("tropical plants by marianne north", "Naturalism"),
    ("naturalist study of wild birds, thorburn", "Naturalism"),
    ("an oak forest by shishkin", "Realism"),
    ("realist landscape by levitan", "Realism"),
    ("a nocturne by whistler", "Tonalism"),
    ("tonalist twilight", "Tonalism"),
    ("soft hazy meadow by george inness", "Tonalism"),
    ("art nouveau ornament", "ArtNouveau(Modern)"),
    ("a fairy tale illustration by bilibin", "ArtNouveau(Modern)"),
    ("the kiss, klimt", "ArtNouveau(Modern)"),
    ("an engraving by durer", "NorthernRenaissance"),
    ("northern renaissance drawing", "NorthernRenaissance"),
    ("rococo portrait of a lady", "Rococo|Neo-Rococo"),
    ("a still life by chardin", "Rococo"),
    ("high renaissance madonna", "HighRenaissance"),
    ("a study by leonardo da vinci", "HighRenaissance"),
    ("roman floor mosaic", "roman mosaic"),
    ("tesserae of stone", "roman mosaic"),
    ("an antique mosaic of a griffin", "roman mosaic"),
    ("tarot card", "tarot engraving"),
    ("line engraving of a tarot figure", "tarot engraving"),
    ("pavel filonov", "AnalyticalRealism"),
    ("analytical realism", "AnalyticalRealism"),
    ("a biedermeier room by spitzweg", "Biedermeier"),
    ("breton women by serusier", "Synthetism"),
    ("frescoes of giotto", "ProtoRenaissance"),
    ("a book of hours, gothic illumination", "InternationalGothic"),
    ("the limbourg brothers", "InternationalGothic"),
    ("a seaport by claude lorrain", "Classicism"),
    ("a court portrait by winterhalter", "Neo-Rococo"),
)
"""60 texts, each with the labels of training art that are right for it, joined by |."""
