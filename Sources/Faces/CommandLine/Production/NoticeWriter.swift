internal import Glibc
internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

/// Writes notices to standard error, where whoever runs the controller reads them; calls stand out.
struct NoticeWriter: Notifier {
    /// Whether only calls are written, because the decisions are shown anyway.
    let callsOnly: Bool

    func notify(_ notice: Notice, of rollout: RolloutID) async {
        guard notice.isCall || !callsOnly else { return }
        say("\(notice.isCall ? "ACT NOW " : "")\(rollout): \(plain(notice.text))")
    }

    /// Writes what concerns no single rollout.
    func say(_ text: String) {
        let bytes = Array("serin: \(text)\n".utf8)
        // A notice that cannot be written stops nothing.
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
