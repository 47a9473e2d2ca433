internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinProcesses
internal import SerinRollouts
internal import SerinVerdicts

/// The page that is read at 3 a.m.: is it safe, why is it there, what happens next, what is the evidence, how to check all that.
enum WhyPage {
    static func lines(
        _ status: RolloutStatus, decisions: [LoggedDecision], state: StateRoot, style: Style, isAttended: Bool = true
    ) -> [String] {
        let banner = status.isRollbackIncomplete ? "ROLLBACK INCOMPLETE" : status.stateNow.uppercased()
        let fence = Explanation.fence(status).map { [style.paint(plain($0), .red)] } ?? []
        var lines =
            fence + [
                "\(style.paint(plain(banner), StatusView.colour(status)))  \(plain("\(status.service) \(status.version) (was \(status.previous))"))",
                "rollout   \(status.id)",
                "safe now  \(Explanation.safety(status, isAttended: isAttended))",
                "weight    wanted \(status.wantedWeight), observed \(status.observedWeight?.description ?? "unknown")",
                "since     \(status.since), begun \(status.startedAt)",
            ]
        if let zero = status.unconfirmedZero { lines.append("zero      not confirmed: \(plain(zero.words))") }
        if let backup = status.restorePoint { lines.append("restore   \(backup.words)") }
        if status.step > 0 {
            lines.append(
                "progress  \(StatusView.step(status)), baked \(Numbers.time(status.baked)) of \(Numbers.time(status.bake))")
        }
        lines += ["", style.paint("Why", .bold), "  \(plain(status.cause))"]
        lines += ["", style.paint("What happens next", .bold), "  \(plain(status.next))"]
        if let awaited = status.awaitedApproval {
            let plan = status.approvalPlan.map { " --plan \($0)" } ?? ""
            lines += ["  waits for approval: \(plain(awaited))", "  approve it: serin approve \(status.id)\(plan)"]
            lines += status.approvalLines.map { "    " + plain($0) }
            if status.fence != .open, status.isCodeBack {
                lines.append("  or keep the schema as it is, and let writes in: serin resume \(status.id)")
            }
        }
        if !status.wayBack.isEmpty {
            lines += ["", style.paint("Schema and data", .bold)] + status.wayBack.map { "  " + plain($0) }
            if status.fence != .open {
                lines.append("  Rows are counted by the server, which hears of some up to 10 s late: at least so many.")
            }
        }
        if !status.signals.isEmpty {
            lines += ["", style.paint("Signals", .bold)]
            lines += StatusView.signalTable(status).lines(style).map { "  " + $0 }
            lines += noise(status.signals)
        }
        if !decisions.isEmpty {
            lines += ["", style.paint("Last decisions", .bold)] + decisions.map { "  " + plain($0.line) }
        }
        let folder = shellWord(state.path)
        lines += ["", style.paint("Check it", .bold)]
        lines += ["  serin verify \(status.id) --state \(folder)", "  serin log \(status.id) -o jsonl --state \(folder)"]
        if !status.isFinal, isAttended { lines += ["  serin halt \(status.id) --state \(folder)   stops it now"] }
        return lines
    }

    private static func noise(_ signals: [SignalAssessment]) -> [String] {
        signals.filter { !$0.noise.isEmpty }.map { plain("  \($0.name): \($0.noise)") }
    }
}
