/// Bytes as base64url text without padding and back (RFC 4648, section 5; RFC 7515, section 2).
public enum Base64URL {
    /// Four characters for three bytes, without `=`.
    public static func text(of bytes: [UInt8]) -> String {
        let characters = Base64.text(of: bytes).utf8.filter { $0 != 0x3D }
        return String(decoding: characters.map { $0 == 0x2B ? 0x2D : $0 == 0x2F ? 0x5F : $0 }, as: UTF8.self)
    }

    /// The bytes that a text stands for. Nil when it is not base64url, has padding, or is not the one text of these bytes: a
    /// signature must not have two forms.
    public static func bytes(of text: some StringProtocol) -> [UInt8]? {
        let characters = Array(text.utf8)
        guard !characters.contains(where: { $0 == 0x2B || $0 == 0x2F || $0 == 0x3D }) else { return nil }
        let padding = [UInt8](repeating: 0x3D, count: (4 - characters.count % 4) % 4)
        let plain = characters.map { $0 == 0x2D ? 0x2B : $0 == 0x5F ? 0x2F : $0 } + padding
        guard let bytes = Base64.bytes(of: String(decoding: plain, as: UTF8.self)) else { return nil }
        return Base64URL.text(of: bytes).utf8.elementsEqual(characters) ? bytes : nil
    }
}
