internal import SerinModel

/// Reads the answers of Prometheus' query API (`/api/v1/query`, `/api/v1/query_range`) straight from their bytes.
///
/// The form is that of Prometheus' HTTP API documentation, "Format overview" and "Expression query result formats". Keys may come in any
/// order and unknown ones are skipped; a key that stands twice, wrong types, invalid UTF-8 and anything after the document are refused.
public struct AnswerParser {
    private let limits: AnswerLimits
    private var cursor: JSONCursor
    private var sampleCount = 0
    private var refusedHistograms = 0

    /// What `data.result` holds before its type is known.
    private enum Result {
        case series([Series])
        case pair(Instant, text: String)
    }

    private struct Series {
        var labels: [Label]
        var samples: [Sample]
        var isRange: Bool
    }

    /// The parts of an answer as they come.
    private struct Parts {
        var status: String?
        var errorType = ""
        var error = ""
        var resultType: String?
        var result: Result?
        var warnings: [String] = []
        var infos: [String] = []
    }

    /// Reads one answer.
    public static func parse(_ bytes: [UInt8], limits: AnswerLimits = AnswerLimits()) throws(AnswerError) -> Answer {
        guard bytes.count <= limits.bytes else { throw .tooLarge("more than \(limits.bytes) bytes") }
        var parser = AnswerParser(limits: limits, cursor: JSONCursor(bytes, depthLimit: limits.depth))
        return try parser.answer()
    }

    private init(limits: AnswerLimits, cursor: JSONCursor) {
        self.limits = limits
        self.cursor = cursor
    }

    private mutating func answer() throws(AnswerError) -> Answer {
        var parts = Parts()
        try object { (parser, key) throws(AnswerError) in
            switch key {
            case "status": parts.status = try parser.cursor.string()
            case "errorType": parts.errorType = try parser.cursor.string()
            case "error": parts.error = try parser.cursor.string()
            case "warnings": parts.warnings = try parser.texts()
            case "infos": parts.infos = try parser.texts()
            case "data" where parser.cursor.peek() == 0x7B: try parser.data(into: &parts)
            default: try parser.cursor.skip(depth: 1)
            }
        }
        try cursor.end()
        switch parts.status {
        case "success": return try assembled(parts)
        case "error": throw .refused(type: String(parts.errorType.prefix(64)), message: String(parts.error.prefix(1000)))
        case let other: throw cursor.malformedEnd("the status is '\(other?.prefix(40) ?? "missing")'")
        }
    }

    private func assembled(_ parts: Parts) throws(AnswerError) -> Answer {
        var warnings = parts.warnings
        if refusedHistograms > 0 { warnings.append("\(refusedHistograms) series are native histograms, which are not read") }
        guard let type = parts.resultType, let result = parts.result else { throw cursor.malformedEnd("there is no result") }
        let content: Answer.Content
        switch (type, result) {
        case ("vector", .series(let series)) where series.allSatisfy { !$0.isRange }:
            content = .vector(series.map { AnswerSeries(labels: $0.labels, samples: $0.samples) })
        case ("matrix", .series(let series)) where series.allSatisfy { $0.isRange }:
            content = .matrix(series.map { AnswerSeries(labels: $0.labels, samples: $0.samples) })
        case ("scalar", .pair(let time, let text)):
            let bytes = Array(text.utf8)
            guard let value = number(bytes, 0..<bytes.count) else { throw cursor.malformedEnd("the scalar is no number") }
            content = .scalar(Sample(time: time, value: value))
        case ("string", .pair(_, let text)): content = .string(text)
        default: throw cursor.malformedEnd("the result is not of its type '\(type.prefix(40))'")
        }
        return Answer(content: content, warnings: warnings, infos: parts.infos)
    }

    private mutating func data(into parts: inout Parts) throws(AnswerError) {
        try object { (parser, key) throws(AnswerError) in
            switch key {
            case "resultType": parts.resultType = try parser.cursor.string()
            case "result": parts.result = try parser.result()
            default: try parser.cursor.skip(depth: 2)
            }
        }
    }

    private mutating func result() throws(AnswerError) -> Result {
        try cursor.take(0x5B)
        var series: [Series] = []
        if cursor.takes(0x5D) { return .series(series) }
        if cursor.peek() != 0x7B {
            let time = try time()
            try cursor.take(0x2C)
            let text = try cursor.string()
            try cursor.take(0x5D)
            return .pair(time, text: text)
        }
        repeat {
            guard series.count < limits.series else { throw .tooLarge("more than \(limits.series) series") }
            if let next = try oneSeries() { series.append(next) }
        } while cursor.takes(0x2C)
        try cursor.take(0x5D)
        return .series(series)
    }

    /// One series; nil for one with native histograms. Written without `object`, for an answer may hold a hundred thousand.
    private mutating func oneSeries() throws(AnswerError) -> Series? {
        var labels: [Label]?
        var samples: [Sample]?
        var isRange = false
        var others: [String] = []
        try cursor.take(0x7B)
        if cursor.takes(0x7D) { throw cursor.malformed("a series lacks its labels or values") }
        repeat {
            let key = try cursor.string()
            try cursor.take(0x3A)
            switch key {
            case "metric" where labels == nil: labels = try self.labels()
            case "value" where samples == nil: samples = [try sample()]
            case "values" where samples == nil:
                isRange = true
                samples = try self.samples()
            case "metric", "value", "values": throw cursor.malformed("a series has its labels or values twice")
            default:
                guard !others.contains(key), others.count < 100 else { throw cursor.malformed("a series has a key twice") }
                others.append(key)
                try cursor.skip(depth: 4)
            }
        } while cursor.takes(0x2C)
        try cursor.take(0x7D)
        if others.contains("histogram") || others.contains("histograms") {
            refusedHistograms += 1
            return nil
        }
        guard let labels, let samples else { throw cursor.malformed("a series lacks its labels or values") }
        return Series(labels: labels, samples: samples, isRange: isRange)
    }

    private mutating func labels() throws(AnswerError) -> [Label] {
        var labels: [Label] = []
        try cursor.take(0x7B)
        if cursor.takes(0x7D) { return [] }
        labels.reserveCapacity(4)
        repeat {
            guard labels.count < limits.labels else { throw .tooLarge("a series has more than \(limits.labels) labels") }
            let name = try cursor.string()
            try cursor.take(0x3A)
            labels.append(Label(name, try cursor.string()))
        } while cursor.takes(0x2C)
        try cursor.take(0x7D)
        // Prometheus sends them sorted; sorting again costs more than looking.
        if !isAscending(labels) {
            labels.sort()
            guard isAscending(labels) else { throw cursor.malformed("a label stands twice") }
        }
        return labels
    }

    private func isAscending(_ labels: [Label]) -> Bool {
        labels.indices.dropFirst().allSatisfy { labels[$0 - 1].name < labels[$0].name }
    }

    private mutating func samples() throws(AnswerError) -> [Sample] {
        var samples: [Sample] = []
        try cursor.take(0x5B)
        if cursor.takes(0x5D) { return [] }
        repeat { samples.append(try sample()) } while cursor.takes(0x2C)
        try cursor.take(0x5D)
        return samples
    }

    @inline(__always) private mutating func sample() throws(AnswerError) -> Sample {
        sampleCount += 1
        guard sampleCount <= limits.samples else { throw .tooLarge("more than \(limits.samples) samples") }
        try cursor.take(0x5B)
        let time = try time()
        try cursor.take(0x2C)
        guard let range = try cursor.plainString(), let value = number(cursor.bytes, range) else {
            throw cursor.malformed("a sample's value is no number")
        }
        try cursor.take(0x5D)
        return Sample(time: time, value: value)
    }

    @inline(__always) private mutating func time() throws(AnswerError) -> Instant {
        let range = try cursor.number()
        guard let time = seconds(cursor.bytes, range) else { throw cursor.malformed("a sample's time is no number of seconds") }
        return time
    }

    /// A list of texts, cut to the limits; `null` is none.
    private mutating func texts() throws(AnswerError) -> [String] {
        if cursor.peek() == 0x6E {
            try cursor.skip()
            return []
        }
        var texts: [String] = []
        var others = 0
        try array { (parser) throws(AnswerError) in
            let text = try parser.cursor.string()
            if texts.count < parser.limits.warnings { texts.append(String(text.prefix(1000))) } else { others += 1 }
        }
        return others > 0 ? texts + ["and \(others) more"] : texts
    }
}

extension AnswerParser {
    /// As the cursor's `object`, with the whole parser for the body.
    private mutating func object(_ body: (inout AnswerParser, String) throws(AnswerError) -> Void) throws(AnswerError) {
        try cursor.take(0x7B)
        if cursor.takes(0x7D) { return }
        var seen: [String] = []
        repeat {
            let key = try cursor.string()
            guard !seen.contains(key) else { throw cursor.malformed("the key '\(key.prefix(80))' stands twice") }
            guard seen.count < 100 else { throw .tooLarge("an object has more than 100 keys") }
            seen.append(key)
            try cursor.take(0x3A)
            try body(&self, key)
        } while cursor.takes(0x2C)
        try cursor.take(0x7D)
    }

    private mutating func array(_ body: (inout AnswerParser) throws(AnswerError) -> Void) throws(AnswerError) {
        try cursor.take(0x5B)
        if cursor.takes(0x5D) { return }
        repeat { try body(&self) } while cursor.takes(0x2C)
        try cursor.take(0x5D)
    }
}

extension JSONCursor {
    /// A defect of the document as a whole, although it is complete.
    fileprivate func malformedEnd(_ reason: String) -> AnswerError { .malformed(offset: bytes.count, reason) }
}

/// Reads a value as Prometheus writes it: a decimal number, `NaN`, `+Inf` or `-Inf`.
@inline(__always) func number(_ bytes: [UInt8], _ range: Range<Int>) -> Double? {
    if let value = decimal(bytes, range) { return value }
    switch String(decoding: bytes[range], as: UTF8.self) {
    case "NaN": return .nan
    case "+Inf", "Inf": return .infinity
    case "-Inf": return -.infinity
    default: return nil
    }
}
