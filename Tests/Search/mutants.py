#!/usr/bin/env python3
"""Searches a copy of the rollout machine, then seeds faults into it and expects the search to find each one.

The copy is made from the sources as they are: a fault whose place is no longer there, or not unique, is an error, so the list
cannot fall behind the machine. All faults are compiled at once, each behind its number, and searched one by one. Number 0 is the
machine as it is: every scenario is searched whole, and every promise has to hold.

usage: mutants.py [number ...]      all numbers without one; exit 0: every fault was found, and none where there is none; 1 otherwise
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ROOT / "Sources" / "Core"
SOURCES = (
    [path for path in sorted((CORE / "Model").rglob("*.swift")) if not path.name.startswith("JSON")]
    + [CORE / "Policies" / f"{name}.swift" for name in ("Policy", "ActionPolicy", "PostgresPolicy", "SignalPolicy", "DriverSettings", "MigrationPolicy", "Backups/RolloutBackupPolicy", "RolloutNotifyPolicy")]
    + [
        CORE / "Rollouts" / f"{name}.swift"
        for name in ("Cause", "Charter", "CheckpointReference", "Command", "Deadline", "Ending", "MigrationOutcome", "RolloutEvent")
    ]
    + sorted((CORE / "Rollouts").glob("Machine*.swift"))
    + sorted((CORE / "Rollouts").glob("RolloutMachine*.swift"))
    + sorted((ROOT / "Tests" / "Search").glob("*.swift"))
)

# What is forgotten, the scenario that shows it, then for each place: the file after `RolloutMachine+`, the text, and the text with
# the fault in it.
FAULTS = [
    ("ends while a raise may still apply", 1, "Weights",
     "guard !mayStillRise else { return }", "guard FAULT || !mayStillRise else { return }"),
    ("reads no fresh 0 after a raise was settled", 2, "Weights",
     "case .lowering, .confirming, .completing: ask(.zero, at: now)",
     "case .lowering, .confirming, .completing: if !FAULT { ask(.zero, at: now) } else { zeroRead(at: now) }"),
    ("takes an unanswered raise for one that failed", 1, "Weights",
     "if openRaise == intent, !isSettled { hasUnsettledRaise = true }",
     "if openRaise == intent, !isSettled, !FAULT { hasUnsettledRaise = true }"),
    ("gives a raise no time after which it can no longer apply", 1, "Weights",
     "deadlines.arm(.flight, due: now + plan.timing.raiseDeadline)",
     "if !FAULT { deadlines.arm(.flight, due: now + plan.timing.raiseDeadline) }"),
    ("does not ask for 0 when it goes back", 1, "Retreat",
     "deadlines.arm(.rollback, due: now + plan.timing.rollbackDeadline)\n        ask(.zero, at: now)",
     "deadlines.arm(.rollback, due: now + plan.timing.rollbackDeadline)\n        if !FAULT { ask(.zero, at: now) }"),
    ("gives up on a 0 that failed", 1, "Weights",
     "guard let pending = request, pending.weight == .zero, pending.progress == .unconfirmed else { return }",
     "guard !FAULT, let pending = request, pending.weight == .zero, pending.progress == .unconfirmed else { return }"),
    ("raises while the database is unsure", 1, "Steps",
     "guard findings.database == .within,", "guard FAULT || findings.database == .within,"),
    ("raises while telemetry is lost", 1, "Polls",
     "if let loss = findings.loss {\n            // People", "if !FAULT, let loss = findings.loss {\n            // People",
     "Steps", "findings.loss == nil, findings.share", "FAULT || findings.loss == nil, findings.share"),
    ("enters the final step without a pass", 3, "Steps",
     "guard !plan.isFinalStep(step) || allowsPromotion(findings) else {",
     "guard FAULT || !plan.isFinalStep(step) || allowsPromotion(findings) else {"),
    ("enters a step without approval", 1, "Steps",
     "guard !plan.steps[step].needsApproval || approvedSteps.contains(step) else {",
     "guard FAULT || !plan.steps[step].needsApproval || approvedSteps.contains(step) else {"),
    ("counts agreements that are over", 7, "Commands",
     "mutating func agreementOver(at now: Instant) {\n        approvers = []",
     "mutating func agreementOver(at now: Instant) {\n        if !FAULT { approvers = [] }"),
    ("enters a step by an agreement that is over", 1, "Commands",
     "approvedSteps.removeAll { $0 > entered ?? -1 }", "if !FAULT { approvedSteps.removeAll { $0 > entered ?? -1 } }"),
    ("lets the author approve", 3, "Commands",
     "guard plan.allowsAuthorApproval || person != plan.author else {",
     "guard FAULT || plan.allowsAuthorApproval || person != plan.author else {"),
    ("forgets raises under way after a restart", 2, "Takeover",
     "if mayStillRise {", "if FAULT { openRaise = nil; hasUnsettledRaise = false } else if mayStillRise {"),
    ("does not ask for 0 again after a restart", 4, "Takeover",
     "} else { ask(.zero, at: now) }", "} else if !FAULT { ask(.zero, at: now) }"),
    ("does not lower what a poll shows on the way back", 1, "Polls",
     "if found > .zero, request?.progress == .confirmed { return lower(from: found, at: now) }",
     "if !FAULT, found > .zero, request?.progress == .confirmed { return lower(from: found, at: now) }"),
    ("leaves a step without data", 5, "Steps",
     "case .nodata, .fail: break",
     "case .nodata where FAULT: enter(step + 1, findings: findings, at: now)\n        case .nodata, .fail: break",
     "Steps", "entered ?? -1 < step, findings.verdict == .nodata ||", "entered ?? -1 < step, findings.verdict == .nodata && !FAULT ||"),
    ("enters a step from below the one before it", 1, "Steps",
     "&& wanted < plan.steps[step - 1].weight", "&& wanted < plan.steps[step - 1].weight && !FAULT"),
    ("promotes without a pass", 1, "Steps",
     "if allowsPromotion(findings), isLast", "if FAULT || allowsPromotion(findings), isLast"),
    ("promotes without a request seen", 1, "Polls",
     "findings.allowsPromotion && hasShareFit }", "findings.allowsPromotion && (FAULT || hasShareFit) }"),
    ("counts what was seen before a raise", 1, "Weights",
     "hasShareFit = false", "if !FAULT { hasShareFit = false }"),
    ("does not look at alerts during the promotion", 1, "Polls",
     "if findings.isAlertFiring { return .alert }", "if findings.isAlertFiring, !FAULT || !isPromotionStarted { return .alert }"),
    ("promotes when the watch is over, without a look", 3, "Retreat",
     "state = .watching(step: step, isOver: true)", "if FAULT { return startPromotion(at: now) }\n            state = .watching(step: step, isOver: true)"),
    ("does not begin the watch again after a restart", 4, "Takeover",
     "if case .baking = state { return }", "if FAULT { return }\n            if case .baking = state { return }"),
    ("leaves both cohorts without weight", 2, "Polls",
     "if isAsked { askAgain() } else { ask(.zero, at: now) }", "if isAsked { askAgain() } else if !FAULT { ask(.zero, at: now) }"),
    ("refuses a halt during the promotion", 1, "Commands",
     "case .halt, .haltForSecurity: return nil", "case .halt, .haltForSecurity: return FAULT && isPromotionStarted ? Refusal(\"later\") : nil"),
    ("promotes without having seen control on the new version", 1, "Polls",
     "guard findings.isControlRenewed else {", "guard FAULT || findings.isControlRenewed else {"),
    ("promotes while telemetry is lost after the promotion action", 1, "Polls",
     "guard findings.database == .within, !findings.isTelemetryLost else {",
     "guard FAULT || findings.database == .within && !findings.isTelemetryLost else {"),
    ("ends while an action is under way", 5, "Weights",
     "} else if retreat.running == nil {", "} else if FAULT || retreat.running == nil {"),
    ("goes on with an unverified backup", 1, "Backup",
     "guard result == .verified else {", "guard result == .verified || FAULT && result == .unverified else {"),
    ("takes a backup past its deadline for a good one", 1, "Retreat",
     "backupReported(openBackup, .unknown, at: now)", "backupReported(openBackup, FAULT ? .verified : .unknown, at: now)"),
    ("deploys before the backup", 1, "Steps",
     "return\n        }\n        backUp(at: now)", "return\n        }\n        if FAULT { return readHistory(at: now) }\n        backUp(at: now)"),
    ("ends while a backup is under way", 1, "Weights",
     "guard retreat.backup == nil, !isSchemaMoving(retreat) else { return }",
     "guard FAULT || retreat.backup == nil, !isSchemaMoving(retreat) else { return }"),
    ("forgets after a restart that a backup was under way", 4, "Takeover",
     "case .backingUp: settleBackup(action, at: now)", "case .backingUp: if FAULT { readHistory(at: now) } else { settleBackup(action, at: now) }"),
    ("waits for a person without a reminder", 1, "Steps",
     "deadlines.arm(.reminder, due: now + .hours(1))", "if !FAULT { deadlines.arm(.reminder, due: now + .hours(1)) }"),
    ("raises in the middle of a hold", 1, "Polls",
     "guard held.reason.endsByItself, findings.loss == nil", "guard FAULT || held.reason.endsByItself, findings.loss == nil || FAULT"),
    ("leaves the schema as it is after a failed migration", 6, "Migrations",
     "if isSchemaTouched || fence != .open { return mend(retreat, at: now) }",
     "if !FAULT, isSchemaTouched || fence != .open { return mend(retreat, at: now) }"),
    ("goes back while the migration is under way", 7, "Migrations",
     "case .migrate, .fence, .unfence: true", "case .migrate, .fence, .unfence: !FAULT"),
    ("looks at the schema before the code is back", 6, "Weights",
     "if needsRevert {", "if needsRevert, !(FAULT && isSchemaTouched) {"),
    ("takes a cut-off migration for a whole one after a restart", 6, "Takeover",
     "case .migrating(let stage): settle(stage, action, at: now)",
     "case .migrating(let stage): if FAULT { migrate(at: now) } else { settle(stage, action, at: now) }"),
    ("backs up and destroys data while writes go on", 7, "Migrations",
     "guard migrating == .destructive else { return applyRevisions(at: now) }",
     "guard migrating == .destructive, !FAULT else { return applyRevisions(at: now) }",
     "Backup", "guard migrating != .destructive || fence == .closed else {",
     "guard FAULT || migrating != .destructive || fence == .closed else {"),
    ("leaves writes fenced after a failed backup", 7, "Migrations",
     "guard fence != .open else { return finish(.refused) }", "guard !FAULT, fence != .open else { return finish(.refused) }"),
    ("restores without a proven fence", 7, "Migrations",
     "guard fence == .closed else { return askForFence(at: now) { .mending(retreat, .fencing($0)) } }",
     "guard FAULT || fence == .closed else { return askForFence(at: now) { .mending(retreat, .fencing($0)) } }",
     "Migrations", "guard isBackedUp, fence == .closed, retreat.isCodeBack else {",
     "guard isBackedUp, FAULT || fence == .closed, retreat.isCodeBack else {"),
    ("restores with one person too few", 7, "Commands",
     "guard approvers.count >= people else { return }", "guard approvers.count >= people - (FAULT ? 1 : 0) else { return }"),
    ("keeps agreements to an older plan", 7, "Migrations",
     "another plan.\n        endApproval()", "another plan.\n        if !FAULT { endApproval() }"),
    ("takes an asked fence for a proven one", 7, "Migrations",
     "fence = .unsure\n        runAction(.fence,", "fence = FAULT ? .closed : .unsure\n        runAction(.fence,"),
    ("leaves writes fenced at the end", 7, "Migrations",
     "guard fence == .open else { return unfence(at: now) { .mending(retreat, .unfencing($0)) } }",
     "guard FAULT || fence == .open else { return unfence(at: now) { .mending(retreat, .unfencing($0)) } }"),
    ("asks once to let writes in", 7, "Migrations",
     "if case .mending(let retreat, .resting) = state {", "if !FAULT, case .mending(let retreat, .resting) = state {"),
    ("ends without a read-back of 0 after a raise", 4, "Retreat",
     "return entered == nil &&", "return (FAULT || entered == nil) &&"),
    ("ends without a read-back of 0 after a deploy", 5, "Retreat",
     "!hasDeployed && !needsRevert", "(FAULT || !hasDeployed) && !needsRevert"),
    ("ends without a read-back of 0 where someone else's weight is known", 2, "Retreat",
     "&& !isReadAboveZero &&", "&& (FAULT || !isReadAboveZero) &&"),
    ("forgets a weight that it read once nothing can be read", 2, "Weights",
     "case .unreadable: break", "case .unreadable: if FAULT { isReadAboveZero = false }"),
    ("forgets a weight that a preflight read which ended after a halt", 2, "Steps",
     "guard retreat != nil, found != .unreadable,", "guard !FAULT, retreat != nil, found != .unreadable,"),
    ("takes a 0 of a preflight for one that was read after a halt", 2, "Steps",
     "found != .weight(.zero) else { return }\n        isReadAboveZero = true", "FAULT || found != .weight(.zero) else { return }\n        isReadAboveZero = found != .weight(.zero)"),
    ("takes values that mean no weight for 0", 2, "Weights",
     "case .meaningless: isReadAboveZero = true", "case .meaningless: isReadAboveZero = !FAULT"),
    ("calls nobody about a weight that it cannot lower", 2, "Weights",
     "guard retreat == nil, deadlines.due(.lowering) == nil else { return }", "guard !FAULT, retreat == nil, deadlines.due(.lowering) == nil else { return }"),
    ("begins a restore anew after a restart", 7, "Migrations",
     "case .restoring: settle(found, at: now)", "case .restoring: if FAULT { restore(retreat, at: now) } else { settle(found, at: now) }"),
]


def build(folder: pathlib.Path) -> pathlib.Path:
    """Compiles a copy with every fault behind its number; 0 is none."""
    texts = {}
    for path in SOURCES:
        text = path.read_text()
        text = re.sub(r"^(@testable |public |internal )?import Serin\w+\n", "", text, flags=re.M)
        # Nothing is encoded here, and synthesised coding is most of the compiler's work.
        texts[path.name] = re.sub(r", Codable\b", "", text)
    for number, (name, _, *places) in enumerate(FAULTS, start=1):
        for part, old, new in zip(places[::3], places[1::3], places[2::3]):
            file = f"RolloutMachine+{part}.swift"
            if texts[file].count(old) != 1:
                sys.exit(f"fault {number} ({name}): its place occurs {texts[file].count(old)} times in {file}, expected once: {old}")
            texts[file] = texts[file].replace(old, new.replace("FAULT", f"(fault == {number})"))
    texts["Fault.swift"] = 'let fault = Int(CommandLine.arguments.count > 2 ? CommandLine.arguments[2] : "") ?? 0\n'
    for name, text in texts.items():
        (folder / name).write_text(text)
    program = folder / "search"
    files = [str(folder / name) for name in texts]
    command = ["swiftc", "-O", "-wmo", "-parse-as-library", "-swift-version", "6", "-suppress-warnings", "-o", str(program), *files]
    subprocess.run(command, check=True)
    return program


def search(program: pathlib.Path, number: int) -> tuple[bool, str]:
    """Runs the search with one fault; whether it was found, and by which promise."""
    scenario = FAULTS[number - 1][1]
    run = subprocess.run([str(program), str(scenario), str(number)], capture_output=True, text=True, timeout=300)
    line = next((line for line in run.stdout.splitlines() if "does not hold" in line), run.stdout.strip()[-200:])
    return run.returncode == 1 and "does not hold" in line, line


def main() -> int:
    wanted = [int(word) for word in sys.argv[1:]] or list(range(len(FAULTS) + 1))
    began = time.monotonic()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="serin-mutants-") as folder:
        program = build(pathlib.Path(folder))
        print(f"built in {time.monotonic() - began:.1f} s", flush=True)
        if 0 in wanted:
            wanted.remove(0)
            if subprocess.run([str(program)]).returncode != 0:
                return 1
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for number, (found, line) in zip(wanted, pool.map(lambda number: search(program, number), wanted)):
                missed += not found
                print(f"{number:3} {'found ' if found else 'MISSED'} {FAULTS[number - 1][0]} — {line}", flush=True)
    print(f"mutants: {len(wanted) - missed} of {len(wanted)} found, {time.monotonic() - began:.1f} s")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
