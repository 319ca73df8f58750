"""What those read a dataset with who train on it: tables, and aligned windows of sound straight from the objects.

Neither Prefect nor the ledger's database nor the local service is loaded for it.
"""

from stemline.reader.stems_dataset import StemsDataset, open_dataset

__all__ = ["StemsDataset", "open_dataset"]
