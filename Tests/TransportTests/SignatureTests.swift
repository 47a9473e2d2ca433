import SerinModel
import SerinTransport
import Testing

/// The examples that AWS publishes for S3 in "Signature Calculations for the Authorization Header".
@Suite struct SignatureTests {
    let keys = SigningKeys(accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    let moment = Instant(millisecondsSince1970: 1_369_353_600_000)
    static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private func signature(
        _ method: String, _ path: String, query: [HTTPHeader] = [], headers: [HTTPHeader] = [], payload: String = empty
    ) throws -> String {
        let signer = SignatureV4(region: "us-east-1", service: "s3")
        let added = try signer.headers(
            method: method, host: "examplebucket.s3.amazonaws.com", path: path, query: query, headers: headers, payload: payload,
            keys: keys, at: moment)
        let line = added.first { $0.name == "Authorization" }?.value ?? ""
        #expect(
            line.hasPrefix("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders="))
        return String(line.suffix(64))
    }

    @Test func aReadOfARangeIsSignedAsPublished() throws {
        let found = try signature("GET", "/test.txt", headers: [HTTPHeader("Range", "bytes=0-9")])
        #expect(found == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func aWriteIsSignedAsPublished() throws {
        let found = try signature(
            "PUT", "/" + SignatureV4.encoded("test$file.text", keepsSlashes: true),
            headers: [
                HTTPHeader("Date", "Fri, 24 May 2013 00:00:00 GMT"), HTTPHeader("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], payload: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
        #expect(found == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func aQueryWithoutValueIsSignedAsPublished() throws {
        let found = try signature("GET", "/", query: [HTTPHeader("lifecycle", "")])
        #expect(found == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func aListIsSignedAsPublishedWhateverTheOrderOfItsQuery() throws {
        for query in [
            [HTTPHeader("max-keys", "2"), HTTPHeader("prefix", "J")], [HTTPHeader("prefix", "J"), HTTPHeader("max-keys", "2")],
        ] {
            #expect(try signature("GET", "/", query: query) == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        }
    }

    @Test func theTokenOfTemporaryKeysIsSignedAndGooglesNamesAreUsedForGoogle() throws {
        let signer = SignatureV4(scheme: .google, region: "auto", service: "storage")
        let keys = SigningKeys(accessKey: "GOOG1E", secretKey: "s", sessionToken: "token")
        let added = try signer.headers(
            method: "GET", host: "h", path: "/", query: [], headers: [], payload: Self.empty, keys: keys, at: moment)
        #expect(added.map(\.name) == ["x-goog-content-sha256", "x-goog-date", "x-goog-security-token", "Authorization"])
        #expect(added.last?.value.hasPrefix("GOOG4-HMAC-SHA256 Credential=GOOG1E/20130524/auto/storage/goog4_request, ") == true)
        #expect(added.last?.value.contains("SignedHeaders=host;x-goog-content-sha256;x-goog-date;x-goog-security-token,") == true)
    }

    @Test func everythingButUnreservedCharactersIsEncoded() {
        #expect(SignatureV4.encoded("a b/ü~+") == "a%20b%2F%C3%BC~%2B")
        #expect(SignatureV4.encoded("a b/c", keepsSlashes: true) == "a%20b/c")
    }
}
