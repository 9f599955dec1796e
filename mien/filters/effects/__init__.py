"""What can be put on a face: `EFFECTS`. Drawn once as vectors and procedures, then hung on the head, under its own light."""

from mien.filters.effects import eyewear, face_art, headwear, privacy
from mien.filters.effects.registry import EFFECTS, Effect, find_effect

__all__ = ["EFFECTS", "Effect", "eyewear", "face_art", "find_effect", "headwear", "privacy"]
