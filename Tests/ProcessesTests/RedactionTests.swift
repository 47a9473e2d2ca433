import SerinProcesses
import Testing

/// What is taken out of outputs.
@Suite struct RedactionTests {
    @Test(arguments: [
        ("connect postgresql://app:s3cr3t@db:5432/shop now", "connect postgresql://app:[redacted]@db:5432/shop now"),
        ("http://u:p@ss@host/x", "http://u:[redacted]@host/x"),
        ("http://host:8080/path?user=a@b", "http://host:8080/path?user=a@b"),
        ("Authorization: Bearer abcdef123456", "Authorization: Bearer [redacted]"),
        ("authorization: basic dXNlcjpwYXNz\n", "authorization: basic [redacted]\n"),
        ("a basic test", "a basic test"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=[redacted] psql"),
        ("password: hunter2\nnext", "password: [redacted]\nnext"),
        ("{\"access_token\": \"abc def\", \"a\": 1}", "{\"access_token\": \"[redacted]\", \"a\": 1}"),
        ("AWS_SECRET_ACCESS_KEY=abc/def+1", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("GET /x?api_key=123&page=2", "GET /x?api_key=[redacted]&page=2"),
        ("the token bucket is full", "the token bucket is full"),
        ("1 password was changed", "1 password was changed"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nend",
            "[redacted]\nend"
        ),
        ("-----BEGIN CERTIFICATE-----\nMIIE", "-----BEGIN CERTIFICATE-----\nMIIE"),
        ("", ""),
    ])
    func whatLooksLikeASecretIsTakenOut(_ text: String, _ expected: String) {
        #expect(Redaction()(text) == expected)
    }

    @Test func givenValuesAreTakenOutWhereverTheyStand() {
        let redaction = Redaction(secrets: ["topsecret", "topsecret-longer", "abc"])
        #expect(redaction("xtopsecretx topsecret-longer abc") == "x[redacted]x [redacted] abc")
    }

    @Test func aSecretCutAtTheBeginningIsTakenOutToo() {
        let redaction = Redaction(secrets: ["correct horse battery"])
        let tail = redaction.tail(Array("horse battery done\nok\n".utf8), limit: 1000, isCut: true)
        #expect(tail == "[beginning left out]  done\nok\n")
        #expect(redaction.tail(Array("123@host rest".utf8), limit: 1000, isCut: true) == "[beginning left out]  rest")
    }

    @Test func theTailKeepsItsLimitAndWholeCharacters() {
        let tail = Redaction().tail(Array(String(repeating: "é", count: 100).utf8), limit: 11, isCut: false)
        #expect(tail == "[beginning left out] ééééé")
        #expect(Redaction().tail(Array("short".utf8), limit: 11, isCut: false) == "short")
    }

    @Test func bytesThatAreNoTextAreReplaced() {
        #expect(Redaction().tail([0x61, 0xFF, 0x62], limit: 100, isCut: false) == "a\u{FFFD}b")
    }
}
