internal import CSerinHTTPD
internal import SerinAPI
internal import SerinModel

extension Peer {
    /// The other end of a connection.
    ///
    /// - Throws: Why the certificate that it showed is not good: it must be disconnected.
    init(of connection: OpaquePointer, isEncrypted: Bool) throws(Failure) {
        self.init(isEncrypted: isEncrypted)
        var uid: UInt32 = 0
        if serin_peer_uid(serin_httpd_socket(connection), &uid) == 0 {
            self.uid = uid
            var groups = [UInt32](repeating: 0, count: 1024)
            let count = serin_peer_groups(serin_httpd_socket(connection), &groups, Int32(groups.count))
            self.groups = Array(groups.prefix(max(0, Int(count))))
            return
        }
        address = Self.text(capacity: 64) { serin_httpd_address(connection, $0, $1) == 0 }
        guard isEncrypted else { return }
        var fingerprint = [UInt8](repeating: 0, count: 32)
        var names: [CChar] = Array(repeating: 0, count: 8192)
        var code: Int32 = 0
        let subject = Self.text(capacity: 1024) { buffer, capacity in
            code = serin_httpd_certificate(connection, &fingerprint, buffer, capacity, &names, names.count)
            return code == 1
        }
        guard code >= 0 else {
            let reason =
                switch code {
                case -2: "has expired"
                case -3: "is of no authority that is known here"
                default: "is not valid for a client, or not yet"
                }
            throw Failure(.invalid, "\(address ?? "a client") showed a certificate that \(reason): the connection was closed")
        }
        guard code == 1, let subject else { return }
        certificate = Certificate(
            subject: subject, fingerprint: fingerprint.map { Self.hexadecimal($0) }.joined(),
            names: Self.string(names).parts(at: "\n").map(String.init))
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    private static func string(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A text that a C function writes.
    private static func text(capacity: Int, _ write: (UnsafeMutablePointer<CChar>, Int) -> Bool) -> String? {
        var buffer = [CChar](repeating: 0, count: capacity)
        let isWritten = buffer.withUnsafeMutableBufferPointer { bytes in
            bytes.baseAddress.map { write($0, capacity) } ?? false
        }
        return isWritten ? string(buffer) : nil
    }
}
