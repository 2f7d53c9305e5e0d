"""What has been asked and answered, in one SQLite file of the work directory."""

from detkds_gp.store.records import Birth, Event, Generation, Merge, ScaleRecord, ScoreRecord
from detkds_gp.store.store import Store

__all__ = ["Birth", "Event", "Generation", "Merge", "ScaleRecord", "ScoreRecord", "Store"]
