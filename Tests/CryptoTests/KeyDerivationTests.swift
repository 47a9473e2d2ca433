import SerinCrypto
import Testing

@Suite struct KeyDerivationTests {
    /// RFC 5869, appendix A, test cases 1 to 3.
    @Test(
        arguments: [
            (
                [UInt8](repeating: 0x0b, count: 22), Array(0x00...0x0c), Array(0xf0...0xf9),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
            ),
            (
                Array(0x00...0x4f), Array(0x60...0xaf), Array(0xb0...0xff),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"
            ),
            (
                [UInt8](repeating: 0x0b, count: 22), [], [],
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
            ),
        ] as [([UInt8], [UInt8], [UInt8], String)])
    func hkdfGivesThePublishedKeys(key: [UInt8], salt: [UInt8], info: [UInt8], expected: String) throws {
        let made = try KeyDerivation.hkdf(secret(key), salt: salt, info: info, count: expected.utf8.count / 2)
        #expect(text(made) == expected)
    }

    /// RFC 7914, section 11, and the inputs of RFC 6070 with SHA-256.
    @Test(arguments: [
        (
            "passwd", "salt", 1,
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
        ),
        ("password", "salt", 1, "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b"),
        ("password", "salt", 2, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"),
        ("password", "salt", 4096, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"),
        (
            "passwordPASSWORDpassword", "saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096,
            "348c89dbcbd32b2f32d814b8116e84cf2b17347ebc1800181c4e2a1fb8dd53e1c635518c7dac47e9"
        ),
    ])
    func pbkdf2GivesThePublishedKeys(passphrase: String, salt: String, iterations: Int, expected: String) throws {
        let made = try KeyDerivation.pbkdf2(
            secret(Array(passphrase.utf8)), salt: Array(salt.utf8), iterations: iterations, count: expected.utf8.count / 2)
        #expect(text(made) == expected)
    }

    @Test func lengthsAndRoundsOutOfRangeAreRefused() throws {
        let key = secret([1])
        #expect(throws: CryptoError.self) { try KeyDerivation.hkdf(key, salt: [], info: [], count: 0) }
        #expect(throws: CryptoError.self) { try KeyDerivation.hkdf(key, salt: [], info: [], count: 8161) }
        #expect(throws: CryptoError.self) { try KeyDerivation.pbkdf2(key, salt: [], iterations: 0, count: 32) }
        #expect(throws: CryptoError.self) { try KeyDerivation.pbkdf2(key, salt: [], iterations: 1, count: 0) }
    }

    @Test func aSecretDoesNotPrintItself() {
        let key = secret(Array("hunter2".utf8))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), "\([key])", dumped] { #expect(!text.contains("hunter2")) }
        #expect(key.hexadecimal.withUnsafeBytes { Array($0) } == Array("68756e74657232".utf8))
    }

    @Test func makingASecretWipesItsSource() {
        var bytes: [UInt8] = [1, 2, 3]
        #expect(Secret(wiping: &bytes).count == 3)
        #expect(bytes.isEmpty)
    }

    @Test func streamsGiveWhatOneCallGives() throws {
        let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let digest = try SHA256Stream()
        let mac = try HMACSHA256Stream(key: secret([5, 6]))
        for start in stride(from: 0, to: bytes.count, by: 777) {
            try Array(bytes[start..<min(start + 777, bytes.count)]).withUnsafeBytes {
                try digest.update($0)
                try mac.update($0)
            }
        }
        #expect(try digest.finish() == SHA256.digest(bytes))
        #expect(try mac.finish() == HMACSHA256.code(for: bytes, key: [5, 6]))
    }
}

func secret(_ bytes: [UInt8]) -> Secret { bytes.withUnsafeBytes { Secret($0) } }
func text(_ secret: Secret) -> String { Hexadecimal.text(of: secret.withUnsafeBytes { Array($0) }) }
