"""Reads cases without expectations in the shape of the vector files, fills them in with reference.py and prints the result."""
import json
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reference as ref


def diff(c):
    return [b - a for a, b in zip(c, c[1:])]


def plain(x):
    return "inf" if isinstance(x, float) and x == math.inf else x


def verdict(v, poll=None):
    out = {k: plain(getattr(v, k)) for k in ("verdict", "reason", "log_e_fail", "log_e_pass", "ratio", "low", "high", "phi")}
    out["poll"] = poll
    return out


def cal(d):
    return ref.Calibration(d["base"], tuple(d["windows"]), tuple(d["s2"]), d["pods"])


def fields(c):
    return {"base": c.base, "windows": list(c.windows), "s2": list(c.s2), "pods": c.pods}


def ratio(c, rule, t):
    cols = [diff(c[k]) for k in ("canary_events", "canary_exposure", "control_events", "control_exposure")]
    bs = [ref.Block(*x) for x in zip(*cols)][:t]
    if "phi" in c:
        phi = c["phi"]
    else:
        pods = []
        for p in c["control_pods"]:
            ni, yi = diff(p["exposure"])[:t], diff(p["events"])[:t]
            pods.append((sum(yi), sum(b.y0 * x / b.n0 for b, x in zip(bs, ni) if b.n0 > 0)))
        phi = ref.phi_of(bs, pods, c["canary_pods"])
    out = verdict(ref.judge(bs, rule, phi), t)
    o = ref.onset(bs, rule.floor, phi, 1 + rule.tolerance)
    out["onset"] = {"block": o[0], "multiple": o[1]}
    return out


def latency(c, rule, t):
    def hist(pre):
        le, tot = c[pre + "_le"], c[pre + "_total"]
        return [ref.Histogram(tuple(b - a for a, b in zip(le[k], le[k + 1])), tot[k + 1] - tot[k]) for k in range(t)]
    bs, i = ref.latency_blocks(c["edges"], hist("canary"), hist("control"), c["quantile"], c["tolerance"], c["slack"], c["frozen_edge"])
    out = verdict(ref.judge(bs, rule, c["phi"], own_rho=True), t)
    if i is not None:
        out["edge"], out["rho"] = i, bs[0].rho
    return out


def gauge(c, rule, t):
    bs = ref.gauge_blocks([tuple(p) for p in c["pairs"][:t]], c["tolerance"], c["slack"], c["direction"])
    return verdict(ref.judge(bs, rule, c["phi"], own_rho=True), t)


v = json.load(sys.stdin)
for c in v["cases"]:
    rule = ref.Rule(**c["rule"])
    f = {"ratio": ratio, "latency": latency, "gauge": gauge}[c["kind"]]
    c["expected"] = [f(c, rule, t) for t in c.pop("polls")]
for c in v["calibrate"]:
    c["expected"] = fields(ref.calibrate(c["exposure"], c["events"]))
for c in v["calibrate_single"]:
    c["expected"] = fields(ref.calibrate_single(c["exposure"], c["events"]))
for c in v["change_factor"]:
    c["expected"] = ref.change_factor(c["exposure"], c["events"], cal(c["calibration"]))
for c in v["phi"]:
    n, y = c["control_exposure"], c["control_events"]
    c["expected"] = []
    for t in c.pop("polls"):
        bs = [ref.Block(c["canary_events"][k], c["canary_exposure"][k], sum(p[k] for p in y), sum(p[k] for p in n)) for k in range(t)]
        phi = ref.phi_calibrated(bs, [p[:t] for p in n], [p[:t] for p in y], c["canary_pods"], cal(c["calibration"]), c["blocks_per_bin"])
        c["expected"].append(verdict(ref.judge(bs, ref.timed(ref.Rule(), c["poll_seconds"]), phi), t))
for c in v["gauge"]:
    k = ref.gauge_calibrate(c["history"])
    c["calibration"] = fields(k)
    c["expected"] = [{"minute": t, "log_e": ref.gauge_log_e(c["ratios"][:t], c["margin"], k, c["canary_pods"], c["control_pods"])} for t in c.pop("polls")]
json.dump(v, sys.stdout)
