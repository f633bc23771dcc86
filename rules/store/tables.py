"""The tables of the rules' database: the door to all of them. The types are SQLite's and PostgreSQL's alike. What the rows mean is the
affair of who reads them.

Whoever changes a table, in `rules/store/schema`, changes `migrations/versions/r0002.py` too, which brings older databases to it;
`tests/rules/test_migration.py` fails while the two differ. Once 0002 is released, the next change begins 0003.
"""

from rules.store.schema.alarms import alarms as alarms
from rules.store.schema.alarms import floods as floods
from rules.store.schema.alarms import holds as holds
from rules.store.schema.cases import cases as cases
from rules.store.schema.cases import timers as timers
from rules.store.schema.duty import drills as drills
from rules.store.schema.duty import handovers as handovers
from rules.store.schema.duty import roster as roster
from rules.store.schema.duty import sites as sites
from rules.store.schema.log import counters as counters
from rules.store.schema.log import log as log
from rules.store.schema.log import refusals as refusals
from rules.store.schema.metadata import metadata as metadata
from rules.store.schema.notices import held_calls as held_calls
from rules.store.schema.notices import links as links
from rules.store.schema.notices import notices as notices
from rules.store.schema.notices import sendings as sendings
from rules.store.schema.outside import deliveries as deliveries
from rules.store.schema.outside import hooks as hooks
from rules.store.schema.outside import tickets as tickets
from rules.store.schema.outside import upstream as upstream
from rules.store.schema.plant import devices as devices
from rules.store.schema.plant import edges as edges
from rules.store.schema.plant import gone as gone
from rules.store.schema.plant import labels as labels
from rules.store.schema.plant import silences as silences
from rules.store.schema.plant import streams as streams
from rules.store.schema.plant import waiting as waiting
from rules.store.schema.rules import rule_versions as rule_versions
from rules.store.schema.rules import shadows as shadows
from rules.store.schema.rules import states as states
from rules.store.schema.workers import leases as leases
from rules.store.schema.workers import pulse as pulse
from rules.store.schema.workers import workers as workers
