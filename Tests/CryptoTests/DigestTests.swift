import SerinCrypto
import Testing

@Suite struct DigestTests {
    /// FIPS 180-4 examples, as NIST publishes them.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
    ])
    func sha256GivesThePublishedDigests(text: String, digest: String) throws {
        #expect(Hexadecimal.text(of: try SHA256.digest(Array(text.utf8))) == digest)
        #expect(SHA256.digestOrEmpty(Array(text.utf8)) == (try SHA256.digest(Array(text.utf8))))
    }

    @Test func sha256DigestsAMillionLetters() throws {
        let digest = try SHA256.digest([UInt8](repeating: 0x61, count: 1_000_000))
        #expect(Hexadecimal.text(of: digest) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    /// RFC 4231, test cases 1 to 4, 6 and 7.
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            Array(1...25), [UInt8](repeating: 0xcd, count: 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131),
            Array(
                "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm."
                    .utf8),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"
        ),
    ])
    func hmacGivesThePublishedCodes(key: [UInt8], text: [UInt8], code: String) throws {
        let computed = try HMACSHA256.code(for: text, key: key)
        #expect(Hexadecimal.text(of: computed) == code)
        #expect(areEqual(computed, try #require(Hexadecimal.bytes(of: code))))
    }

    @Test func hmacTakesAnEmptyKeyAndAnEmptyText() throws {
        #expect(
            Hexadecimal.text(of: try HMACSHA256.code(for: [], key: []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    }

    @Test func comparisonSeesEveryByteAndTheLength() {
        let bytes: [UInt8] = Array(0..<32)
        #expect(areEqual(bytes, bytes))
        #expect(areEqual([], []))
        #expect(!areEqual(bytes, Array(bytes.dropLast())))
        for index in bytes.indices {
            var other = bytes
            other[index] ^= 1
            #expect(!areEqual(bytes, other))
        }
    }

    @Test func randomBytesHaveTheLengthAskedForAndDoNotRepeat() throws {
        #expect(try randomBytes(0).isEmpty)
        let first = try randomBytes(32)
        let second = try randomBytes(32)
        #expect(first.count == 32)
        #expect(first != second)
        #expect(throws: CryptoError.self) { try randomBytes(-1) }
    }

    @Test func hexadecimalReadsBackWhatItWrites() {
        let bytes: [UInt8] = Array(0...255)
        let text = Hexadecimal.text(of: bytes)
        #expect(text.hasPrefix("000102") && text.hasSuffix("feff"))
        #expect(Hexadecimal.bytes(of: text) == bytes)
        #expect(Hexadecimal.bytes(of: text.uppercased()) == bytes)
        #expect(Hexadecimal.bytes(of: "abc") == nil)
        #expect(Hexadecimal.bytes(of: "0g") == nil)
        #expect(Hexadecimal.bytes(of: "é0") == nil)
    }
}
