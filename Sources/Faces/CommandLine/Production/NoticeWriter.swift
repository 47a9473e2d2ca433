internal import SerinPorts

/// Writes notifications to standard error, where whoever runs the controller reads them; calls stand out.
struct NoticeWriter: Notifier {
    /// Whether only calls are written, because the decisions are shown anyway.
    let callsOnly: Bool
    let output: Output

    func notify(_ notification: Notification) async {
        let isCall = notification.severity == .critical
        // The decisions tell of each step.
        guard isCall || !callsOnly && notification.kind != .rolloutProgressed else { return }
        let rollout = notification.fields.first { $0.name == "rollout" }.map { "\($0.value): " } ?? ""
        line("\(isCall ? "ACT NOW " : "")\(rollout)\(plain(notification.text))", isKept: isCall)
    }

    /// Writes what concerns no single rollout.
    @Sendable func say(_ text: String) { line(text, isKept: true) }

    private func line(_ text: String, isKept: Bool) {
        output.write("serin: \(text)\n", isKept: isKept)
    }
}

/// Several who are told, side by side.
struct Notifiers: Notifier {
    let all: [any Notifier]

    func notify(_ notification: Notification) async {
        await withTaskGroup(of: Void.self) { group in
            for notifier in all { group.addTask { await notifier.notify(notification) } }
        }
    }
}
