/// A path as the system's functions take it.
func terminated(_ path: [UInt8]) -> [CChar] { path.map { CChar(bitPattern: $0) } + [0] }

/// A name of bytes for people and documents: UTF-8 as it is, every other byte and every control character as `\\xHH`, and a backslash
/// as two, so that two names never look alike and the bytes can be had back.
func shown(_ name: [UInt8]) -> String {
    var text = String.UnicodeScalarView()
    var rest = name[...]
    while let byte = rest.first {
        let scalar = (1...4).lazy.compactMap { count in
            String(validating: rest.prefix(count), as: UTF8.self)?.unicodeScalars.first
        }.first
        if let scalar, scalar.value >= 0x20, scalar.value != 0x7F {
            text.append(contentsOf: scalar == "\\" ? "\\\\".unicodeScalars : String(scalar).unicodeScalars)
            rest = rest.dropFirst(String(scalar).utf8.count)
        } else {
            let digits = String(byte, radix: 16)
            text.append(contentsOf: ("\\x" + (digits.utf8.count == 1 ? "0" : "") + digits).unicodeScalars)
            rest = rest.dropFirst()
        }
    }
    return String(text)
}
