internal import COpenSSL

/// Bytes that nobody can predict, from OpenSSL's generator. `count` is 0…2^31−1.
public func randomBytes(_ count: Int) throws(CryptoError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: max(0, count))
    guard (0...Int(Int32.max)).contains(count), RAND_bytes(&bytes, Int32(count)) == 1 else {
        throw CryptoError(operation: "\(count) random bytes")
    }
    return bytes
}
