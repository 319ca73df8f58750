"""The plan: which tracks are to do, what they will cost and how long they will take."""

from stemline.plan.forecast import Forecast, forecast
from stemline.plan.outlook import Prediction, predict
from stemline.plan.preview import Preview, preview
from stemline.plan.saved import SavedPlan, check_plan, save_plan
from stemline.plan.survey import Survey, check_recipe, survey
from stemline.plan.work import Work

__all__ = [
    "Forecast",
    "Prediction",
    "Preview",
    "SavedPlan",
    "Survey",
    "Work",
    "check_plan",
    "check_recipe",
    "forecast",
    "predict",
    "preview",
    "save_plan",
    "survey",
]
