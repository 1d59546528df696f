"""How many bytes tensors hold at most while something runs."""

from torch.profiler import ProfilerActivity, profile


def held(run):
    """Call a function and return the most bytes of tensors that it held at a time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        run()
    events = [one for one in found.profiler.kineto_results.events() if one.name() == "[memory]"]
    now = most = 0
    for one in sorted(events, key=lambda one: one.start_ns()):
        now += one.nbytes()
        most = max(most, now)
    return most
