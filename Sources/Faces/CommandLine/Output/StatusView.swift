internal import SerinAPI
internal import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// A rollout's status in words, for terminals and logs.
enum StatusView {
    /// How good a state is, said in colour besides the word.
    static func colour(_ status: RolloutStatus) -> Style.Colour {
        if status.isRollbackIncomplete { return .red }
        switch status.ending {
        case .promoted: return .green
        case .failed, .halted: return .red
        case .inconclusive, .refused: return .yellow
        case nil: return status.awaitedApproval == nil && status.state != "held" ? .bold : .yellow
        }
    }

    static func colour(_ verdict: Verdict) -> Style.Colour {
        switch verdict {
        case .pass: .green
        case .fail: .red
        case .inconclusive, .nodata: .yellow
        }
    }

    /// `step 2 of 3`; nothing before the first raise.
    static func step(_ status: RolloutStatus) -> String { status.step > 0 ? "step \(status.step) of \(status.steps)" : "" }

    /// `25%`, or `25% wanted, 5% observed` while they differ.
    static func weight(_ status: RolloutStatus) -> String {
        guard status.observedWeight != status.wantedWeight else { return status.wantedWeight.description }
        return "\(status.wantedWeight) wanted, \(status.observedWeight?.description ?? "unknown") observed"
    }

    /// One line: what changed.
    static func line(_ status: RolloutStatus, at time: Instant) -> String {
        var parts = [time.timeOfDay, status.id.description, status.stateNow]
        if let fence = Explanation.fence(status) { parts.append(fence + ",") }
        if status.step > 0 { parts.append(step(status) + ",") }
        parts.append("weight \(weight(status)), baked \(Numbers.time(status.baked)) of \(Numbers.time(status.bake))")
        return plain(parts.joined(separator: " ") + (status.cause.isEmpty ? "" : ": " + status.cause))
    }

    /// What makes a new line worth writing: everything but the numbers that always move.
    static func milestone(_ status: RolloutStatus) -> [String] {
        [
            status.id.description, status.stateNow, "\(status.step)", status.wantedWeight.description,
            status.observedWeight?.description ?? "", status.ending?.rawValue ?? "", status.awaitedApproval ?? "",
            "\(status.isFinal) \(status.isRollbackIncomplete) \(status.fence.rawValue)",
        ]
    }

    /// The block that is redrawn on a terminal.
    static func block(_ status: RolloutStatus, style: Style, width: Int) -> [String] {
        let release = plain("\(status.service) \(status.version) (was \(status.previous))")
        var lines = [
            "\(style.paint(release, .bold))  \(style.paint(plain(status.stateNow), colour(status)))  \(step(status))",
            "  weight   \(weight(status))",
            "  bake     \(bar(status.baked, of: status.bake)) \(Numbers.time(status.baked)) of \(Numbers.time(status.bake))",
            "  why      \(plain(status.cause))",
            "  next     \(plain(status.next))",
        ]
        if let backup = status.restorePoint { lines.append("  restore  \(backup.words)") }
        if let awaited = status.awaitedApproval { lines.append("  waits    \(plain(awaited))") }
        if let fence = Explanation.fence(status) { lines.append("  " + style.paint(plain(fence), .red)) }
        if !status.signals.isEmpty { lines += signalTable(status).lines(style).map { "  " + $0 } }
        return lines.map { clipped($0, to: width) }
    }

    static func bar(_ part: Duration, of whole: Duration, cells: Int = 20) -> String {
        let share = whole.milliseconds > 0 ? Double(part.milliseconds) / Double(whole.milliseconds) : 1
        let full = Int(min(1, max(0, share)) * Double(cells))
        return "[" + String(repeating: "#", count: full) + String(repeating: "-", count: cells - full) + "]"
    }

    /// Every signal: canary, control, ratio and interval against the boundary, verdict and reason.
    static func signalTable(_ status: RolloutStatus) -> Table {
        var table = Table(header: ["SIGNAL", "VERDICT", "CANARY", "CONTROL", "RATIO", "BEYOND", "WHY"])
        for signal in status.signals {
            let verdict = signal.verdict == .fail ? "FAIL" : signal.verdict.rawValue
            table.rows.append([
                Table.Cell(signal.name), Table.Cell(verdict, colour(signal.verdict)),
                Table.Cell(EvidenceNumbers.share(signal.counts.canaryEvents, of: signal.counts.canaryExposure)),
                Table.Cell(EvidenceNumbers.share(signal.counts.controlEvents, of: signal.counts.controlExposure)),
                Table.Cell(EvidenceNumbers.ratio(of: signal, computed: status.interval(of: signal.name))),
                Table.Cell(Numbers.fixed(signal.boundary, decimals: 2)),
                Table.Cell(EvidenceNumbers.why(signal)),
            ])
        }
        return table
    }

    /// What keeps a rollout from its end; one that is over says it in its cause.
    private static func zero(_ status: RolloutStatus) -> String {
        guard !status.isFinal, let zero = status.unconfirmedZero else { return "" }
        return "; weight 0 is not confirmed: \(zero.words)"
    }

    /// One row a rollout.
    static func table(_ statuses: [RolloutStatus]) -> Table {
        var table = Table(header: ["ROLLOUT", "VERSION", "STATE", "STEP", "WEIGHT", "BAKED", "WHY"])
        for status in statuses {
            table.rows.append([
                Table.Cell(status.id.description), Table.Cell(status.version), Table.Cell(status.stateNow, colour(status)),
                Table.Cell(status.step > 0 ? "\(status.step)/\(status.steps)" : "-"), Table.Cell(weight(status)),
                Table.Cell("\(Numbers.time(status.baked))/\(Numbers.time(status.bake))"),
                Table.Cell((Explanation.fence(status).map { "\($0): " } ?? "") + status.cause + zero(status)),
            ])
        }
        return table
    }

    /// Cuts a line to a terminal's width without cutting an escape sequence.
    static func clipped(_ line: String, to width: Int) -> String {
        var result = ""
        var columns = 0
        var isEscape = false
        for character in line {
            if character == "\u{1B}" { isEscape = true }
            if isEscape || columns < width { result.append(character) }
            if isEscape {
                isEscape = character != "m"
            } else {
                columns += 1
            }
        }
        return result
    }
}
