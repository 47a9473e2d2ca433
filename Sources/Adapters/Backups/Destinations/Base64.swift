/// Bytes as base64 (RFC 4648, section 4).
func base64(_ bytes: [UInt8]) -> String {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let value = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
        for index in 0..<4 {
            text.append(index <= group.count ? digits[Int(value >> UInt32(18 - 6 * index) & 63)] : 0x3D)
        }
    }
    return String(decoding: text, as: UTF8.self)
}

/// The bytes of a base64 text; nil when it is none.
func bytes(base64 text: String) -> [UInt8]? {
    let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var result: [UInt8] = []
    var value: UInt32 = 0
    var bits = 0
    for byte in text.utf8.filter({ $0 != 0x3D }) {
        guard let digit = digits.firstIndex(of: byte) else { return nil }
        value = value << 6 | UInt32(digit)
        bits += 6
        if bits >= 8 {
            bits -= 8
            result.append(UInt8(value >> UInt32(bits) & 255))
        }
    }
    return text.utf8.count.isMultiple(of: 4) ? result : nil
}
