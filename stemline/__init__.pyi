from stemline.reader import StemsDataset as StemsDataset
from stemline.reader import open_dataset as open_dataset

__version__: str
