"""The benchmark of a cluster with a job's own stages, and the forecast of runs from it."""

from austicker.bench.record import Forecast, Measured, forecast, in_words, read

__all__ = ["Forecast", "Measured", "forecast", "in_words", "read"]
