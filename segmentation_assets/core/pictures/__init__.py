"""Pictures, drawn from tables. `PICTURES` has all of them; each is declared where it is drawn."""

from segmentation_assets.core.pictures import features, model, movement, orders
from segmentation_assets.core.pictures.style import PICTURES, Section

__all__ = ["PICTURES", "Section", "features", "model", "movement", "orders"]
