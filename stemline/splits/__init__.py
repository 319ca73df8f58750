"""Splits: which of them each artist, recording or other group of tracks is in, decided once and for ever."""
