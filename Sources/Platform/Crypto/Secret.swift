internal import COpenSSL

/// Bytes that must not be seen: a key or a passphrase. Never prints them, and wipes them when the last copy is gone.
public struct Secret: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    // Unchecked: the memory is written in `init` alone and only read until `deinit`.
    private final class Storage: @unchecked Sendable {
        let bytes: UnsafeMutableRawBufferPointer

        init(_ source: UnsafeRawBufferPointer) {
            bytes = .allocate(byteCount: source.count, alignment: 1)
            bytes.copyMemory(from: source)
        }

        deinit {
            OPENSSL_cleanse(bytes.baseAddress, bytes.count)
            bytes.deallocate()
        }
    }

    private let storage: Storage

    /// Takes a copy. The caller's own copy stays where it is.
    public init(_ bytes: UnsafeRawBufferPointer) { storage = Storage(bytes) }

    /// Takes a copy and wipes the source.
    public init(wiping bytes: inout [UInt8]) {
        storage = bytes.withUnsafeMutableBytes { raw in
            let storage = Storage(UnsafeRawBufferPointer(raw))
            OPENSSL_cleanse(raw.baseAddress, raw.count)
            return storage
        }
        bytes = []
    }

    /// A new key that nobody can predict; `count` is 1…2^31−1 bytes.
    public static func random(_ count: Int = 32) throws(CryptoError) -> Secret {
        var bytes = try randomBytes(count)
        return Secret(wiping: &bytes)
    }

    /// How many bytes.
    public var count: Int { storage.bytes.count }

    /// Lower-case hexadecimal digits of it, as secret as the bytes themselves.
    public var hexadecimal: Secret {
        withUnsafeBytes { raw in
            var digits = Array(Hexadecimal.text(of: Array(raw)).utf8)
            return Secret(wiping: &digits)
        }
    }

    /// Whether it is exactly these bytes, in a time that depends on the lengths only.
    public func isEqual(to bytes: [UInt8]) -> Bool {
        count == bytes.count && CRYPTO_memcmp(storage.bytes.baseAddress, bytes, bytes.count) == 0
    }

    /// Lends the bytes to the body, which must not let them out.
    public func withUnsafeBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try body(UnsafeRawBufferPointer(storage.bytes))
    }

    /// Never the bytes.
    public var description: String { "[secret]" }
    /// Never the bytes.
    public var debugDescription: String { "[secret]" }
    /// Never the bytes.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
