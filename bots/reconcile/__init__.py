"""Finds out what became of our orders and of our money by asking; doubt is never settled by sending or trading."""

from bots.reconcile.account import Reconciled as Reconciled
from bots.reconcile.account import Settled as Settled
from bots.reconcile.account import in_use as in_use
from bots.reconcile.account import reconcile_account as reconcile_account
from bots.reconcile.account import settle_account as settle_account
from bots.reconcile.one_order import settle as settle
from bots.reconcile.overdue import caught_up as caught_up
from bots.reconcile.overdue import compare_first as compare_first
from bots.reconcile.resting import unmoved as unmoved
