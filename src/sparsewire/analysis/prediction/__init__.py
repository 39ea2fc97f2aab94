"""What a network will be able to do, predicted from what it is like: properties of its structure → its accuracy.

Every function takes **features**: a mapping from a feature's name to one number for each network. Which features these
are is the caller's choice: the 23 properties of a graph, the 56 of an architecture, any other.
"""

from sparsewire.analysis.prediction.feature_groups import ablation
from sparsewire.analysis.prediction.permutations import Importance, importance
from sparsewire.analysis.prediction.predictors import Prediction, Predictor
from sparsewire.analysis.prediction.r2_scores import R2, accuracy_r2
from sparsewire.analysis.prediction.regressors import REGRESSORS

__all__ = ["R2", "REGRESSORS", "Importance", "Prediction", "Predictor", "ablation", "accuracy_r2", "importance"]
