internal import SerinModel

/// What one value of a policy must be: how it is read, how it is described and which pattern it has in the JSON Schema.
enum ScalarForm: Sendable, Hashable {
    /// Any text that is not empty.
    case text
    /// Any text, also an empty one: an argument of a program, a label's value.
    case anyText
    /// The name of a service or driver's object: letters, digits and `. _ -`, at most 63.
    case name
    /// The name of a signal: letters, digits and `_`, at most 63.
    case signalName
    /// The name of a metric.
    case metric
    /// The name of a label.
    case labelName
    /// An `http://` or `https://` address without user or password.
    case url
    /// An absolute path.
    case path
    /// A host's number with a port.
    case address
    /// The name of an environment variable.
    case environmentName
    /// The name of a systemd credential.
    case credentialName
    /// A JSON pointer (RFC 6901).
    case jsonPointer
    /// One of these words.
    case word([String])
    /// `true` or `false`.
    case flag
    /// A whole number in a range.
    case integer(ClosedRange<Int>)
    /// A number of at least this, or more than this.
    case number(least: Double, isExclusive: Bool)
    /// A number between 0 and 1, both excluded.
    case quantile
    /// A time in a range.
    case duration(ClosedRange<Duration>)
    /// A percentage up to a limit, read as a fraction.
    case share(most: Double, canBeZero: Bool)
    /// The canary's share as a number in per cent or a percentage, read in basis points; a multiple of the granularity.
    case weight(granularity: Int)
    /// Events in a time, read in events per second.
    case perSecond
    /// An amount of data, read in bytes.
    case bytes
    /// A form of backup plans.
    case backup(BackupForm)
}

/// A value that was read.
struct ReadScalar: Sendable, Hashable {
    /// Its text as it was written.
    var text: String
    /// Its number in the unit of its form, when it is one.
    var number: Double?
    /// Its length, when it is a time.
    var duration: Duration?
    /// Its truth, when it is a flag.
    var flag: Bool?
    /// Where it stands.
    var mark: Mark
}

extension ScalarForm {
    /// The type of a plain YAML scalar by JSON's rules: `no`, `on`, `1:30` and `010` are texts.
    enum PlainType { case null, flag, number, text }

    /// The type that JSON's rules give a scalar.
    static func plainType(of text: String, quoted: Bool) -> PlainType {
        if quoted { return .text }
        switch text {
        case "", "null", "~", "Null", "NULL": return .null
        case "true", "false": return .flag
        default: return isJSONNumber(text) ? .number : .text
        }
    }

    /// What is expected, for messages: `a time with a unit, like 30m`.
    var expectation: String {
        switch self {
        case .text: "a text"
        case .anyText: "a text"
        case .name: "a name of letters, digits and '. _ -', at most 63, that begins with a letter or digit"
        case .signalName: "a name of letters, digits and '_', at most 63, that does not begin with a digit"
        case .metric: "the name of a metric: letters, digits, '_' and ':', not beginning with a digit"
        case .labelName: "the name of a label: letters, digits and '_', not beginning with a digit"
        case .url: "an address like http://127.0.0.1:9090, without user and password"
        case .path: "an absolute path, like /etc/serin/token"
        case .address: "a host's number and a port, like 127.0.0.1:8080 or [::1]:8080"
        case .environmentName: "the name of an environment variable, like DATABASE_URL"
        case .credentialName: "the name of a systemd credential, like database-url"
        case .jsonPointer: "a JSON pointer, like /routes/0/weight"
        case .word(let words): words.count == 1 ? "'\(words[0])'" : "one of " + words.joined(separator: ", ")
        case .flag: "true or false"
        case .integer(let range):
            range.lowerBound == range.upperBound
                ? "the number \(range.lowerBound)" : "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let least, let isExclusive): "a number \(isExclusive ? "above" : "of at least") \(plainText(least))"
        case .quantile: "a number between 0 and 1, like 0.95"
        case .duration(let range): "a time with a unit from \(range.lowerBound) to \(range.upperBound), like \(example)"
        case .share(let most, _): "a percentage\(most < 10 ? " of at most \(plainText(most * 100))%" : ""), like 10%"
        case .weight(let granularity):
            "a share above 0 and at most 100 per cent, like 5, 2.5 or 5%, in steps of \(plainText(Double(granularity) / 100))%"
        case .perSecond: "events with a unit of time, like 0.5/s"
        case .bytes: "an amount with a unit, like 100MB"
        case .backup(let form): form.expectation
        }
    }

    /// A value that would do.
    var example: String {
        switch self {
        case .duration(let range):
            range.contains(.minutes(30)) ? "30m" : range.contains(.seconds(15)) ? "15s" : "\(range.lowerBound)"
        case .share: "10%"
        case .perSecond: "0.5/s"
        case .bytes: "100MB"
        case .weight: "5"
        case .backup(let form): form.example
        default: ""
        }
    }

    /// The unit to suggest when only a number was written.
    var unit: String? {
        switch self {
        case .duration(let range): range.contains(.minutes(30)) ? "m" : "s"
        case .share: "%"
        case .perSecond: "/s"
        case .bytes: "MB"
        default: nil
        }
    }

    /// Whether a wrong value may be a secret that must not be repeated in a message.
    var mayHoldSecret: Bool {
        switch self {
        case .url, .path, .environmentName, .credentialName: true
        default: false
        }
    }
}

/// A number as people write it: `10`, `0.5`.
func plainText(_ value: Double) -> String {
    if let whole = Int(exactly: value) { return "\(whole)" }
    return "\(value)"
}

/// JSON's grammar of numbers (RFC 8259, section 6).
func isJSONNumber(_ text: String) -> Bool {
    var rest = Array(text.utf8)[...]
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    if rest.first == 0x2D { rest = rest.dropFirst() }
    let whole = rest.prefix(while: isDigit)
    guard let first = whole.first, whole.count == 1 || first != 0x30 else { return false }
    rest = rest.dropFirst(whole.count)
    if rest.first == 0x2E {
        let fraction = rest.dropFirst().prefix(while: isDigit)
        guard !fraction.isEmpty else { return false }
        rest = rest.dropFirst(1 + fraction.count)
    }
    if rest.first == 0x65 || rest.first == 0x45 {
        rest = rest.dropFirst()
        if rest.first == 0x2B || rest.first == 0x2D { rest = rest.dropFirst() }
        let exponent = rest.prefix(while: isDigit)
        guard !exponent.isEmpty else { return false }
        rest = rest.dropFirst(exponent.count)
    }
    return rest.isEmpty
}
