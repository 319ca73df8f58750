"""The plan of a run: which tracks are to do, what they will cost and how long they will take."""
