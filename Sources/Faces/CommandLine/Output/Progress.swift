internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// Shows a rollout while it goes on: a block that is redrawn on a terminal, elsewhere a line for each change and one a minute.
struct Progress {
    /// At most four redraws a second.
    static let pause = Swift.Duration.milliseconds(250)
    /// Build systems end jobs that are silent for long.
    static let heartbeat = Swift.Duration.seconds(60)

    let session: Session
    private let block: LiveBlock?
    private var shown: [String] = []
    private var lastLine = ContinuousClock().now

    init(_ session: Session) {
        self.session = session
        block = session.mayRedraw && !session.globals.isQuiet ? LiveBlock(session.console.writeMessage) : nil
    }

    /// How long to wait for a change before showing something all the same.
    var patience: Duration {
        if block != nil { return .seconds(5) }
        let left = Self.heartbeat - (ContinuousClock().now - lastLine)
        return .milliseconds(max(100, left.components.seconds * 1000))
    }

    /// Shows the present status and the decisions since the last time.
    mutating func show(_ status: RolloutStatus, decisions: [LoggedDecision]) async {
        let milestone = StatusView.milestone(status)
        let isChanged = milestone != shown
        shown = milestone
        if session.globals.output == .jsonl {
            for decision in decisions { session.console.writeData(DecisionDocument.encode(decision).canonicalText + "\n") }
            if isChanged { session.console.writeData(StatusDocument.encode(status).canonicalText + "\n") }
        }
        let style = session.messageStyle
        let lines = decisions.map { plain($0.line) }
        if let block {
            let width = session.console.width()
            block.draw(StatusView.block(status, style: style, width: width - 1), above: lines)
        } else {
            write(lines, status, isChanged: isChanged)
        }
        // A cancelled pause only shows the next change sooner.
        try? await Task.sleep(for: Self.pause)
    }

    private mutating func write(_ lines: [String], _ status: RolloutStatus, isChanged: Bool) {
        let now = ContinuousClock().now
        let isSilent = now - lastLine >= Self.heartbeat
        if !lines.isEmpty { session.note(lines.joined(separator: "\n")) }
        if isSilent || isChanged && lines.isEmpty { session.note(StatusView.line(status, at: session.now)) }
        if isSilent || isChanged || !lines.isEmpty { lastLine = now }
    }

    /// Removes what was only there while it went on.
    func end() { block?.clear() }
}
