"""Right and wrong answers to the checks of chapter 1."""

assert check_1(0.0434953) == "correct"
assert check_1(np.float32(0.0435)) == "correct"
assert "energy of one inference" in check_1(0.00217476)
assert "units" in check_1(43.5)
assert "8-bit" in check_1(0.0028367)
assert "addition" in check_1(0.035)
assert "fetches" in check_1(6.05)
assert "images a second" in check_1(0.1)
assert "give one number" in check_1("43 mW")

assert check_2(534) == "correct"
assert check_2(np.int64(534)) == "correct"
assert check_2(534.0) == "correct"
assert "whole number" in check_2(533.3)
assert "do not cost more" in check_2(533)
assert "do not cost more" in check_2(139)
assert "one byte" in check_2(2134)
assert "fewer" in check_2(600)


def budget_of(device, **wrong):
    """Return the budget of a device, each entry times its factor in wrong."""
    found = budgets(device) | {"macs": device["macs_per_s"] / device["fps"]}
    return {key: found[key] * wrong.get(key, 1)
            for key in ("bytes", "macs", "joules")}


def own_device(**changes):
    """Return the car with its own share, hours and rate, and changes."""
    return {**DEVICES["car"], "share": 0.1, "hours": 3, "fps": 5, **changes}


for device in DEVICES.values():
    assert check_3(budget_of(device), device) == "correct"
    own = {**device, "share": 0.2, "hours": 3, "fps": 5}
    assert check_3(budget_of(own), own) == "correct"
    assert check_3(budget_of(own), device) != "correct"
    more = {**budget_of(own), "seconds": 0.2}
    more = {key: np.float64(value) for key, value in more.items()}
    assert check_3(more, own) == "correct"
for key, factor, words in (
        ("joules", 5, "for a second"), ("macs", 5, "for a second"),
        ("joules", 1 / 3600, "a watt-hour is"),
        ("joules", 3600, "an hour has"), ("joules", 8, "share the battery"),
        ("joules", 10, "whole battery"), ("joules", 3, "how long"),
        ("joules", 1000, "in joules"), ("macs", 1 / 8, "its own core"),
        ("bytes", 1e-6, "in bytes"), ("bytes", 0.25, "not numbers"),
        ("joules", 0.7, "use (1.3)")):
    verdict = check_3(budget_of(own_device(), **{key: factor}), own_device())
    assert verdict.startswith(f"{key}: ") and words in verdict
drone = DEVICES["drone"]
assert check_3(budget_of(drone), drone) == "correct"
assert "not answered yet" in check_3(None, drone)
assert "are dictionaries" in check_3((1, 2, 3), drone)
assert "bytes: give one number" in check_3({"joules": 1, "macs": 1}, drone)
assert "macs: give one pos" in check_3(
    {"joules": 1, "macs": -1, "bytes": 1}, drone)
assert "0.05 are 5 %" in check_3({}, {**drone, "share": 5})
assert "my_device, fps" in check_3({}, {**drone, "fps": 0})

assert check_4((0.5, 160)) == "correct"
assert check_4([np.float64(0.5), 160]) == "correct"
assert "ruled out by time" in check_4((1.0, 224))
assert "a better one" in check_4((0.25, 224))
assert "as (alpha, side)" in check_4((160, 0.5))
assert "as (alpha, side)" in check_4(0.5)


def paid(net, device, size=None, room="weights", cameras=True, both=max):
    """Return a rate as exercise 5 asks for it, or a wrong one."""
    parts = ("weights", "maps") if room == "both" else (room,)
    size = size or net["bytes_per_number"]
    if sum(net[part] for part in parts) * size > device["bytes"]:
        return 0
    device = device if cameras else {**device, "cameras": 1}
    share = demands(net, device)
    return device["fps"] / both(share["energy"], share["time"])


def rate(**wrong):
    """Return a function for exercise 5, wrong where asked."""
    return lambda net, device: paid(net, device, **wrong)


assert check_5(rate()) == "correct"
assert "4 bytes a weight" in check_5(rate(size=1))
assert "210,000 bytes: give one positive number" in check_5(rate(size=4))
assert "so some rate is possible" in check_5(rate(room="macs"))
assert "so some rate is possible" in check_5(rate(room="both"))
assert "8 cameras: too fast for its energy, by 8" in check_5(
    rate(cameras=False))
assert "too fast for its energy" in check_5(
    rate(both=lambda energy, time: time))
assert "too fast for its time" in check_5(
    rate(both=lambda energy, time: energy))
assert "a higher rate" in check_5(
    rate(both=lambda energy, time: energy + time))

assert check_6(("time", 4.27)) == "correct"
assert check_6([" Time", 4.2725]) == "correct"
assert "another budget" in check_6(("energy", 15.37))
assert "the budget is not" in check_6(("energy", 4.27))
assert "divide each budget" in check_6(("time", 1.08))
assert "give a name" in check_6(4.27)
assert "give a name" in check_6((4.27, "time"))
assert "give a name" in check_6("time")
