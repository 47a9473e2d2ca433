internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

/// Writes notices to standard error, where whoever runs the controller reads them; calls stand out.
struct NoticeWriter: Notifier {
    /// Whether only calls are written, because the decisions are shown anyway.
    let callsOnly: Bool
    let output: Output

    func notify(_ notice: Notice, of rollout: RolloutID) async {
        guard notice.isCall || !callsOnly else { return }
        line("\(notice.isCall ? "ACT NOW " : "")\(rollout): \(plain(notice.text))", isKept: notice.isCall)
    }

    /// Writes what concerns no single rollout.
    func say(_ text: String) { line(text, isKept: true) }

    private func line(_ text: String, isKept: Bool) {
        output.write("serin: \(text)\n", isKept: isKept)
    }
}
