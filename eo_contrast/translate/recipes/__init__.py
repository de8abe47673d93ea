"""Translation methods by name.

A recipe is one file of plain functions over the nets: ``draw``, ``translate_batch``,
``discriminator_losses``, ``generator_losses``. The trainer owns the loop, the optimisers and
the order of steps. FastCUT is CUT with other terms switched on (``PUBLISHED`` in
``translate/config.py``), so both names mean the same functions.
"""

from __future__ import annotations

from types import ModuleType

from eo_contrast.translate.recipes import cut

RECIPES: dict[str, ModuleType] = {"cut": cut, "fastcut": cut}
