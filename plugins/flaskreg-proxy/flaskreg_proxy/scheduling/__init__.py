"""The scheduler of the cache: how long content is kept, by whom, and how it goes.

::

    scheduler <- holder <- {rounds, choice, statefile, survey} <- {table, removal}
              <- {journal, members, pins, room, lease, control} <- documents <- places

Source: CNCF distribution's ``registry/proxy/scheduler``, whose state file is kept.
"""

from __future__ import annotations

from flaskreg_proxy.scheduling.guard import GuardedRepository as GuardedRepository
from flaskreg_proxy.scheduling.guard import guarded as guarded
from flaskreg_proxy.scheduling.jobs import Job as Job
from flaskreg_proxy.scheduling.limits import Limits as Limits
from flaskreg_proxy.scheduling.limits import Pace as Pace
from flaskreg_proxy.scheduling.removal import Unlinker as Unlinker
from flaskreg_proxy.scheduling.scheduler import Scheduler as Scheduler
from flaskreg_proxy.scheduling.timetable import parse_timetable as parse_timetable
