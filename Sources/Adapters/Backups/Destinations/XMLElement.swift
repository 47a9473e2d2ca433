internal import SerinModel

/// One element of an answer in XML: its name without prefix, the text directly inside it, and the elements inside it.
///
/// Reads what object stores answer with and nothing more: attributes are skipped, and a document type, which could define entities, is
/// refused.
struct XMLElement: Hashable {
    var name: String
    var text = ""
    var children: [XMLElement] = []

    /// The first element inside with a name.
    subscript(name: String) -> XMLElement? { children.first { $0.name == name } }

    /// Every element inside with a name.
    func all(_ name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// The root element of a document; nil when it is no such XML, is deeper than 16 elements or has more than 100 000.
    static func root(of bytes: [UInt8]) -> XMLElement? {
        var reader = Reader(bytes: bytes)
        return reader.document()
    }

    private struct Reader {
        let bytes: [UInt8]
        var offset = 0
        var count = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
            // A mark of UTF-8's order of bytes, as Azure writes it.
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { offset = 3 }
        }

        mutating func document() -> XMLElement? {
            var stack: [XMLElement] = []
            while offset < bytes.count {
                if bytes[offset] != 0x3C {
                    let start = offset
                    while offset < bytes.count, bytes[offset] != 0x3C { offset += 1 }
                    guard let text = plain(bytes[start..<offset]) else { return nil }
                    if stack.isEmpty {
                        if !text.allSatisfy(\.isWhitespace) { return nil }
                    } else {
                        stack[stack.count - 1].text += text
                    }
                    continue
                }
                let start = offset + 1
                if start < bytes.count, bytes[start] == 0x21 { return nil }
                while offset < bytes.count, bytes[offset] != 0x3E { offset += 1 }
                guard offset < bytes.count, start < offset else { return nil }
                let tag = bytes[start..<offset]
                offset += 1
                if tag.first == 0x3F { continue }
                if tag.first == 0x2F {
                    guard let element = stack.popLast(), element.name == name(tag.dropFirst()) else { return nil }
                    guard !stack.isEmpty else { return element }
                    stack[stack.count - 1].children.append(element)
                    continue
                }
                count += 1
                let element = XMLElement(name: name(tag))
                guard count <= 100_000, stack.count < 16, !element.name.isEmpty else { return nil }
                if tag.last != 0x2F {
                    stack.append(element)
                } else if stack.isEmpty {
                    return element
                } else {
                    stack[stack.count - 1].children.append(element)
                }
            }
            return nil
        }

        private func name(_ tag: ArraySlice<UInt8>) -> String {
            let full = tag.prefix { $0 > 0x20 && $0 != 0x2F }
            let local = full.lastIndex(of: 0x3A).map { full[($0 + 1)...] } ?? full
            return String(decoding: local, as: UTF8.self)
        }

        private func plain(_ raw: ArraySlice<UInt8>) -> String? {
            guard raw.contains(0x26) else { return String(validating: raw, as: UTF8.self) }
            var result: [UInt8] = []
            var index = raw.startIndex
            while index < raw.endIndex {
                guard raw[index] == 0x26 else {
                    result.append(raw[index])
                    index += 1
                    continue
                }
                guard let end = raw[index...].prefix(12).firstIndex(of: 0x3B) else { return nil }
                switch String(decoding: raw[(index + 1)..<end], as: UTF8.self) {
                case "amp": result.append(0x26)
                case "lt": result.append(0x3C)
                case "gt": result.append(0x3E)
                case "quot": result.append(0x22)
                case "apos": result.append(0x27)
                case let word where word.hasPrefix("#"):
                    let digits = word.dropFirst()
                    let code = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
                    guard let scalar = code.flatMap(Unicode.Scalar.init) else { return nil }
                    result += Array(String(Character(scalar)).utf8)
                case _: return nil
                }
                index = end + 1
            }
            return String(validating: result, as: UTF8.self)
        }
    }
}
