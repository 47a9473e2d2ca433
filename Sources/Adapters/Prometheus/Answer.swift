public import SerinModel

/// One value at one time.
public struct Sample: Sendable, Hashable {
    /// When, in whole milliseconds: a sample's own time or the evaluation time, as the query has it.
    public var time: Instant
    /// The value; NaN and infinities occur.
    public var value: Double

    /// A sample.
    public init(time: Instant, value: Double) {
        self.time = time
        self.value = value
    }
}

/// One series of an answer.
public struct AnswerSeries: Sendable, Hashable {
    /// Its labels, sorted by name, each name once.
    public var labels: [Label]
    /// Its samples in the order sent: one in a vector.
    public var samples: [Sample]

    /// A series.
    public init(labels: [Label], samples: [Sample]) {
        self.labels = labels
        self.samples = samples
    }

    /// The value of a label, empty when there is none.
    public func label(_ name: String) -> String { labels.first { $0.name == name }?.value ?? "" }
}

/// A successful answer of Prometheus' query API, as read.
public struct Answer: Sendable, Hashable {
    /// The four types of result.
    public enum Content: Sendable, Hashable {
        /// Series with one sample each.
        case vector([AnswerSeries])
        /// Series with any number of samples.
        case matrix([AnswerSeries])
        /// A number.
        case scalar(Sample)
        /// A text.
        case string(String)
    }

    /// The result.
    public var content: Content
    /// What the server warned of, and what the reader had to leave out (native histograms).
    public var warnings: [String]
    /// What the server remarked about the query (Prometheus 3).
    public var infos: [String]

    /// An answer.
    public init(content: Content, warnings: [String] = [], infos: [String] = []) {
        self.content = content
        self.warnings = warnings
        self.infos = infos
    }

    /// The series of a vector or matrix; nil for a scalar or string.
    public var series: [AnswerSeries]? {
        switch content {
        case .vector(let series), .matrix(let series): series
        case .scalar, .string: nil
        }
    }
}

/// How much of an answer is taken.
public struct AnswerLimits: Sendable, Hashable {
    /// Bytes of the body.
    public var bytes = 64 << 20
    /// Series.
    public var series = 100_000
    /// Samples over all series.
    public var samples = 5_000_000
    /// Labels of one series.
    public var labels = 256
    /// Warnings, and remarks, kept; further ones are counted.
    public var warnings = 32
    /// Arrays and objects inside each other.
    public var depth = 32

    /// The usual limits.
    public init() {}
}

/// Why an answer could not be taken.
public enum AnswerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// It ends before it is whole.
    case truncated(bytes: Int)
    /// It is not what Prometheus sends.
    case malformed(offset: Int, String)
    /// It goes over a limit.
    case tooLarge(String)
    /// The server's own error: its type (`bad_data`, `execution`, `timeout`, …) and its words.
    case refused(type: String, message: String)

    /// The words.
    public var description: String {
        switch self {
        case .truncated(let bytes): "the answer ends after \(bytes) bytes before it is whole"
        case .malformed(let offset, let reason): "the answer is not Prometheus' JSON: byte \(offset): \(reason)"
        case .tooLarge(let reason): "the answer is too large: \(reason)"
        case .refused(let type, let message): "\(type): \(message)"
        }
    }
}
