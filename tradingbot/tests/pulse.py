"""Whether a worker works: for proofs of the apps below, which may not know the platform itself."""


def worker_was_heard() -> bool:
    """A heartbeat has come through broker and worker; Django is set up by the caller."""
    from tradingbot.liveness import WORKER, last_heartbeat

    return last_heartbeat(WORKER) is not None
