internal import SerinLocks
public import SerinModel

/// A scrape target whose metrics a test sets.
public final class ScriptedExporter: Sendable {
    /// What the next scrape gets.
    public enum Answer: Sendable, Hashable {
        /// This exposition text.
        case metrics(String)
        /// This status code and no metrics: the target counts as down.
        case status(Int)
        /// Nothing until the scraper gives up.
        case silence
    }

    private let answer: Locked<Answer>
    private let server: ScriptedServer

    /// Starts a target with these metrics.
    public init(_ metrics: String) throws(Failure) {
        let answer = Locked(Answer.metrics(metrics))
        self.answer = answer
        server = try ScriptedServer { _ in
            switch answer.withLock({ $0 }) {
            case .metrics(let text): [.http(200, text, type: "text/plain; version=0.0.4")]
            case .status(let code): [.http(code, "", type: "text/plain")]
            case .silence: [.hang]
            }
        }
    }

    /// `127.0.0.1:port`, which Prometheus uses as the instance label.
    public var address: String { "127.0.0.1:\(server.port)" }

    /// How often it has been scraped.
    public var scrapes: Int { server.requests.count }

    /// Sets the metrics of the next scrapes.
    public func set(_ metrics: String) { set(.metrics(metrics)) }

    /// Sets what the next scrapes get.
    public func set(_ next: Answer) { answer.withLock { $0 = next } }

    /// Stops listening: the target counts as down.
    public func stop() { server.stop() }
}
