"""What a person settles by hand: tracks that are unknown, one by one, and those that failed, by their codes."""

from stemline.settlement.case import Case, Settled, open_case
from stemline.settlement.dossier import Dossier
from stemline.settlement.redrive import Redrive, foresee_redrive, read_codes

__all__ = ["Case", "Dossier", "Redrive", "Settled", "foresee_redrive", "open_case", "read_codes"]
