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
        let line = "serin: \(notice.isCall ? "ACT NOW " : "")\(rollout): \(plain(notice.text))\n"
        output.write(line, isKept: notice.isCall)
    }
}
