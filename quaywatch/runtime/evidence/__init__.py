"""Evidence: who is asked why a step is slow or fails, looks around at once and says the likely cause.

What is looked at stands in the ``gather_*`` modules, one for each back end; what follows from it in `rules`, one table.
"""

from .investigation import LOOK_WITHIN, PAGE_WITHIN, Investigator, Surroundings

__all__ = ["LOOK_WITHIN", "PAGE_WITHIN", "Investigator", "Surroundings"]
