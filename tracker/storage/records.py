"""Under its first name; see ``tracker.records``."""

from tracker.records import Change as Change
from tracker.records import FilesOwned as FilesOwned
from tracker.records import NodeChanged as NodeChanged
from tracker.records import NodeJoined as NodeJoined
from tracker.records import NodeLeft as NodeLeft
from tracker.records import NodeRecord as NodeRecord
from tracker.records import Pair as Pair
