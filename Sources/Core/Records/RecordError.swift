/// Why a value could not be written to or read from canonical form.
public struct RecordError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Where in the value: `event.observed._0.telemetry.series[2].rows`; empty for the value as a whole.
    public var path: String
    /// What is wrong there.
    public var message: String

    /// An error at a place.
    public init(path: String = "", _ message: String) {
        self.path = path
        self.message = message
    }

    /// The place, then the message.
    public var description: String { path.isEmpty ? message : "at \(path): \(message)" }
}
