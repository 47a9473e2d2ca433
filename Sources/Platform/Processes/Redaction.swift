/// Takes secrets out of text that a program or server produced.
///
/// Two kinds are taken out: the values given, wherever they stand; and what looks like a secret: the password in an address, a
/// value after a word such as `password=` or `token:`, a bearer or basic credential, a private key.
public struct Redaction: Sendable {
    /// What stands in place of a secret.
    public static let mark = "[redacted]"

    private let secrets: [[UInt8]]

    /// Takes out these values. Values shorter than four bytes are left: they would take half the text with them.
    public init(secrets: [String] = []) {
        // Longer ones first, so that a secret which contains another is taken out whole.
        self.secrets = Set(secrets.map { Array($0.utf8) }).filter { $0.count >= 4 }.sorted {
            ($1.count, String(decoding: $0, as: UTF8.self)) < ($0.count, String(decoding: $1, as: UTF8.self))
        }
    }

    /// The text without secrets.
    public func callAsFunction(_ text: String) -> String { String(decoding: bytes(Array(text.utf8)), as: UTF8.self) }

    /// The end of an output: at most `limit` bytes after redaction. `isCut` says that the output's beginning is missing, so its
    /// first word may be the rest of a secret and is left out.
    public func tail(_ output: [UInt8], limit: Int, isCut: Bool) -> String {
        var bytes = output[...]
        if isCut {
            for secret in secrets {
                for length in stride(from: min(secret.count - 1, bytes.count), to: 0, by: -1)
                where bytes.starts(with: secret.suffix(length)) {
                    bytes = bytes.dropFirst(length)
                    break
                }
            }
            bytes = bytes.drop { !isSpace($0) }
        }
        var clean = self.bytes(Array(bytes))
        let isShortened = isCut || clean.count > limit
        if clean.count > limit {
            // Not in the middle of a character: continuation bytes are 10xxxxxx.
            clean = Array(clean.suffix(limit).drop { $0 & 0xC0 == 0x80 })
        }
        return (isShortened ? "[beginning left out] " : "") + String(decoding: clean, as: UTF8.self)
    }

    private func bytes(_ text: [UInt8]) -> [UInt8] {
        var result = text
        for secret in secrets { result = replace(secret, in: result) }
        return withoutPatterns(result)
    }

    private func replace(_ secret: [UInt8], in text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            if text[index] == secret[0], index + secret.count <= text.count,
                text[index..<(index + secret.count)].elementsEqual(secret)
            {
                result += Redaction.mark.utf8
                index += secret.count
            } else {
                result.append(text[index])
                index += 1
            }
        }
        return result
    }

    /// One pass over the words of the text.
    private func withoutPatterns(_ text: [UInt8]) -> [UInt8] {
        var scanner = SecretScanner(text)
        return scanner.run()
    }
}

func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
