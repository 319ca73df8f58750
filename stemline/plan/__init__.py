"""The plan: which tracks are to do, what they will cost and how long they will take."""

from stemline.plan.forecast import Forecast, Work, forecast
from stemline.plan.preview import Preview, preview
from stemline.plan.survey import Survey, check_recipe, survey

__all__ = ["Forecast", "Preview", "Survey", "Work", "check_recipe", "forecast", "preview", "survey"]
