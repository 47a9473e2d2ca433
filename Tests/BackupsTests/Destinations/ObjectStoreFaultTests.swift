import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import Testbed
import Testing

/// Stores that fail, lie and forget.
@Suite struct ObjectStoreFaultTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch("serin-faults") }

    private func destination(_ store: StandInStore, _ driver: String = "s3") throws -> any BackupDestination {
        var settings = [
            "bucket": "b", "endpoint": store.url, "plain_http": "yes", "access_key_env": "A", "secret_key_env": "S",
        ]
        if driver == "s3" { settings["part_size"] = "5MiB" }
        return try makeDestination(driver, settings, secrets: ["A": "access", "S": "secret-value"])
    }

    private func upload(_ key: String = "object", _ size: Int = 1000, _ destination: any BackupDestination) throws -> Upload {
        let contract = DestinationContract(destination: destination, scratch: scratch)
        return try contract.makeUpload(key, contract.bytes(size))
    }

    @Test(arguments: ["s3", "gcs"]) func theStandInKeepsToTheContract(_ driver: String) async throws {
        defer { scratch.remove() }
        let store = try StandInStore(prefix: driver == "s3" ? "x-amz-" : "x-goog-")
        defer { store.stop() }
        let destination = try destination(store, driver)
        var contract = DestinationContract(destination: destination, scratch: scratch)
        // The stand-in decodes no keys and answers every question about the bucket with a list.
        contract.longSize = driver == "s3" ? 5 << 20 : 1 << 20
        try await contract.check()
    }

    @Test func faultsThatPassAreMetByRepeating() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, asked, store in
            guard request.method == "PUT", asked.filter({ $0 == "PUT object" }).count < 3 else { return nil }
            return [store.error(503, "SlowDown")]
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        _ = try await destination.confirm(try await destination.put(upload), sha256: upload.sha256)
        #expect(store.asked.filter { $0 == "PUT object" }.count == 3)
    }

    @Test func aStoreThatAlwaysFailsIsGivenUpAndTheTriesAreCounted() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in request.method == "PUT" ? [store.error(500, "InternalError")] : nil }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .transient)
        #expect(failed?.message == "cannot PUT object at s3://b: 500 InternalError: as the test says (try 4 of 4)")
    }

    @Test func anUploadWhoseAnswerWasLostIsFoundAndNotSentAgain() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, asked, store in
            guard request.method == "PUT" else { return nil }
            _ = store.answer(request)
            return [.close(reset: true)]
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        _ = try await destination.confirm(try await destination.put(upload), sha256: upload.sha256)
        #expect(store.asked.filter { $0 == "PUT object" }.count == 1)
    }

    @Test func aStoreThatAcceptsAndDropsIsFoundOut() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, _ in request.method == "PUT" ? [.http(200, "", headers: ["ETag: \"x\""])] : nil
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .invalid)
        #expect(failed?.message == "cannot store object at s3://b: it was accepted, but there is no such object")
    }

    @Test func aStoreThatKeepsOtherBytesIsFoundOutByReading() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            guard request.method == "PUT" else { return nil }
            var changed = request
            changed.body[500] ^= 1
            return store.answer(changed)
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        let stored = try await destination.put(upload)
        let failed = await failure { () throws(Failure) in _ = try await destination.confirm(stored, sha256: upload.sha256) }
        #expect(failed?.kind == .invalid && failed?.message.contains("reading gives 1000 bytes with SHA-256") == true)
    }

    @Test func aCutBodyIsReadAgainAndNeverTakenForWhole() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, asked, _ in
            guard request.method == "GET", !StandInStore.path(request).isEmpty else { return nil }
            let isAlways = StandInStore.path(request) == "always"
            guard isAlways || asked.filter({ $0 == "GET once" }).count < 2 else { return nil }
            return [.text("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"), .close(reset: false)]
        }
        defer { store.stop() }
        let destination = try destination(store)
        for (key, kind) in [("once", nil), ("always", FailureClass.unknown)] {
            let upload = try upload(key, 1000, destination)
            let stored = try await destination.put(upload)
            let path = scratch.file("fetched-" + key)
            let failed = await failure { () throws(Failure) in
                _ = try await destination.get(stored.key, version: nil, to: path, limit: 1000)
            }
            #expect(failed?.kind == kind)
            #expect((access(path, F_OK) == 0) == (kind == nil))
        }
    }

    @Test func anotherETagThanTheUploadWasGivenIsRefused() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            guard request.method == "PUT" else { return nil }
            _ = store.answer(request)
            return [.http(200, "", headers: ["ETag: \"another\""])]
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .invalid && failed?.message.contains("its ETag is") == true)
    }

    @Test func aLockThatIsDroppedTwiceIsRefused() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            var bare = request
            bare.headers = request.headers.filter { !$0.lowercased().hasPrefix("x-amz-object-lock") }
            return store.answer(bare)
        }
        defer { store.stop() }
        let destination = try destination(store)
        var upload = try upload("object", 1000, destination)
        upload.lock = ObjectLock(mode: .compliance, until: MotoServer.now + .hours(24))
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .invalid && failed?.message.contains("is not locked") == true)
        #expect(store.asked.contains("PUT object?retention"))
    }

    @Test(arguments: [
        ("AccessDenied", "without the right to list"), ("SignatureDoesNotMatch", "are the access key and its secret right?"),
        ("InvalidAccessKeyId", "are the access key and its secret right?"), ("RequestTimeTooSkewed", "set this machine's clock"),
        ("", "without the right to list"),
    ])
    func aForbiddenLookIsExplainedByAReadingThatIsAnsweredWithWords(_ code: String, _ hint: String) async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            switch request.method {
            case "HEAD": [.text("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")]
            // Without a code it is another answer, which explains nothing.
            case "GET" where !code.isEmpty:
                request.header("Range") == "bytes=0-0" ? [store.error(403, code)] : [store.error(500, "InternalError")]
            default: nil
            }
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("object", 1000, destination)
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .denied && failed?.hint?.contains(hint) == true, "\(String(describing: failed))")
        #expect(
            failed?.message == "cannot HEAD object at s3://b: 403" + (code.isEmpty ? "" : " \(code): as the test says"),
            "\(String(describing: failed))")
        #expect(store.asked.filter { $0 == "GET object" }.count == 1)
    }

    @Test(arguments: ["s3", "gcs"]) func aBucketThatDoesNotEncryptAsAskedIsTold(_ driver: String) async throws {
        defer { scratch.remove() }
        // It takes the headers and says nothing of them.
        let store = try StandInStore(prefix: driver == "s3" ? "x-amz-" : "x-goog-")
        defer { store.stop() }
        let asked = driver == "s3" ? ["sse": "kms", "kms_key": "alias/backups"] : ["kms_key": "projects/p/cryptoKeys/k"]
        let usual = ["bucket": "b", "endpoint": store.url, "plain_http": "yes", "access_key_env": "A", "secret_key_env": "S"]
        let remarks = try await makeDestination(
            driver, usual.merging(asked) { $1 }, secrets: ["A": "access", "S": "secret-value"]
        ).probe().remarks.filter { $0.contains("is asked for, and the store says nothing of it") }
        #expect(
            remarks.map { $0.prefix { $0 != ":" } }
                == (driver == "s3"
                    ? ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"]
                    : ["x-goog-encryption-kms-key-name"]),
            "\(remarks)")
        #expect(
            try await makeDestination(driver, usual, secrets: ["A": "access", "S": "secret-value"]).probe().remarks.allSatisfy {
                !$0.contains("is asked for")
            })
    }

    @Test func aWrongClockIsNamed() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { _, _, store in
            [store.error(403, "RequestTimeTooSkewed", headers: ["Date: Sat, 21 Nov 2026 12:00:00 GMT"])]
        }
        defer { store.stop() }
        let destination = try destination(store)
        let failed = await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 1) }
        #expect(failed?.kind == .denied)
        #expect(failed?.hint?.contains("its clock says Sat, 21 Nov 2026 12:00:00 GMT") == true)
    }

    @Test func aFailedPartAbortsTheWholeUpload() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            StandInStore.query(request)["partNumber"] == "2" ? [store.error(400, "BadDigest")] : nil
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("half", 6 << 20, destination)
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.message.contains("cannot PUT part 2 of half at s3://b: 400 BadDigest") == true)
        #expect(try await destination.pending() == [])
        #expect(store.asked.contains("DELETE half?uploadId"))
    }

    @Test func partsThatAStoreSwapsAreFoundOutByReading() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            guard let number = StandInStore.query(request)["partNumber"] else { return nil }
            var swapped = request
            // Sizes and number of the parts stay as they were.
            swapped.target = request.target.replacing("partNumber=\(number)", with: "partNumber=\(number == "1" ? 2 : 1)")
            return store.answer(swapped)
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("swapped", 10 << 20, destination)
        let failed = await failure { () throws(Failure) in
            _ = try await destination.confirm(try await destination.put(upload), sha256: upload.sha256)
        }
        #expect(failed?.kind == .invalid, "\(String(describing: failed))")
    }

    @Test func aCompletionThatSays200AndHoldsAnErrorIsAFailure() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { request, _, store in
            request.method == "POST" && StandInStore.query(request)["uploadId"] != nil ? [store.error(200, "InternalError")] : nil
        }
        defer { store.stop() }
        let destination = try destination(store)
        let upload = try upload("half", 6 << 20, destination)
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .transient && failed?.message.contains("200 InternalError") == true)
        #expect(try await destination.pending() == [])
    }

    @Test func aListThatNeverEndsIsRefused() async throws {
        defer { scratch.remove() }
        let store = try StandInStore { _, _, _ in
            [
                .http(
                    200, "<R><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken></R>",
                    type: "application/xml")
            ]
        }
        defer { store.stop() }
        let destination = try destination(store)
        let failed = await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 10) }
        #expect(failed?.message == "s3://b lists the same page again and again")
    }

    @Test func aListThatIsCutOffIsNotTakenForAllOfIt() async throws {
        defer { scratch.remove() }
        let object = "<Contents><Key>p/a</Key><Size>1</Size></Contents>"
        for token in ["", "<NextContinuationToken/>"] {
            let store = try StandInStore { _, _, _ in
                [.http(200, "<R><IsTruncated>true</IsTruncated>\(token)\(object)</R>", type: "application/xml")]
            }
            defer { store.stop() }
            let destination = try destination(store)
            let failed = await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 10) }
            #expect(failed?.message == "s3://b lists a part only, and does not say how to ask for the rest")
        }
    }

    @Test func plainHTTPIsForLoopbackAndOnlyWhenAskedFor() throws {
        defer { scratch.remove() }
        for (endpoint, plain) in [
            ("http://127.0.0.1:1", "no"), ("http://example.org", "yes"), ("http://127.0.0.1.example.org", "yes"),
        ] {
            #expect(throws: Failure.self) {
                _ = try makeDestination(
                    "s3",
                    ["bucket": "b", "endpoint": endpoint, "plain_http": plain, "access_key_env": "A", "secret_key_env": "S"])
            }
        }
    }

    @Test func whatCouldBeGatheredFromAPoorAnswerIsRefusedAsXML() async throws {
        defer { scratch.remove() }
        for text in [
            "", "no xml", "<a>", "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "<a>&x;</a>", "<a></b>",
            "<Error><Code>X</Code></Error>",
        ] {
            let store = try StandInStore { _, _, _ in [.http(200, text, type: "application/xml")] }
            defer { store.stop() }
            let destination = try destination(store)
            #expect(
                await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 10) } != nil, "\(text)")
        }
    }
}
