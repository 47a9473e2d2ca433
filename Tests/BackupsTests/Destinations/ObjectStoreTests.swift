import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinTransport
import Testbed
import Testing

/// Against a real moto that checks signatures and rights.
@Suite(.serialized) struct ObjectStoreTests {
    static func secrets(_ moto: MotoServer) -> [String: String] {
        ["ACCESS": moto.keys.accessKey, "SECRET": moto.keys.secretKey]
    }

    static func bucket(
        _ moto: MotoServer, _ name: String, _ settings: [String: String] = [:],
        now: @escaping @Sendable () -> Instant = { MotoServer.now }
    ) throws -> any BackupDestination {
        let fixed = [
            "bucket": name, "endpoint": moto.url, "plain_http": "yes", "access_key_env": "ACCESS", "secret_key_env": "SECRET",
            "part_size": "5MiB",
        ]
        return try makeDestination("s3", fixed.merging(settings) { $1 }, secrets: secrets(moto), now: now)
    }

    @Test func howMuchOneRequestCanReadFollowsFromRateAndTimeout() throws {
        let bucket = ["access_key_env": "K", "secret_key_env": "K", "bucket": "b"]
        let paced = try makeDestination("s3", bucket.merging(["rate": "1MiB", "timeout": "10s"]) { one, _ in one })
        #expect(paced.traits.readingLimit == 10 << 20)
        #expect(try makeDestination("s3", bucket).traits.readingLimit == nil)
    }

    @Test func archivesAreRefusedBecauseWhatIsStoredIsReadBack() async throws {
        let keys = ["access_key_env": "K", "secret_key_env": "K", "bucket": "b"]
        let container = ["account": "acc", "container": "c", "key_env": "K"]
        for (driver, settings) in [
            ("s3", ["storage_class": "GLACIER"]), ("s3", ["storage_class": "DEEP_ARCHIVE"]), ("azure", ["tier": "Archive"]),
        ] {
            let fixed = driver == "s3" ? keys : container
            do {
                _ = try makeDestination(driver, fixed.merging(settings) { one, _ in one })
                Issue.record("\(settings) was taken")
            } catch let refused as Failure {
                #expect(refused.kind == .invalid)
                #expect(refused.message.contains("is read back at once"))
            }
        }
        _ = try makeDestination("gcs", keys.merging(["storage_class": "ARCHIVE"]) { one, _ in one })
        _ = try makeDestination("s3", keys.merging(["storage_class": "GLACIER_IR"]) { one, _ in one })
        _ = try makeDestination("azure", container.merging(["tier": "Cold"]) { one, _ in one })
        #expect(throws: Failure.self) {
            _ = try makeDestination("azure", container.merging(["tier": "Lukewarm"]) { one, _ in one })
        }
    }

    @Test func bucketsWithAndWithoutVersionsKeepToTheContract() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("plain", locks: false)
        try await moto.makeBucket("locked", locks: true)
        for (bucket, settings) in [
            ("plain", ["prefix": "postgres/daily", "storage_class": "STANDARD_IA"]),
            ("locked", ["sse": "aes256", "tags": "team=db,tier=a b"]),
        ] {
            let destination = try Self.bucket(moto, bucket, settings)
            try await DestinationContract(destination: destination, scratch: scratch).check()
        }
    }

    @Test func whatTheBucketIsLikeIsToldAsFacts() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("locked", locks: true)
        let facts = try await Self.bucket(moto, "locked").probe()
        #expect(facts.isWritable && facts.versioning == true && facts.objectLock == true)
        #expect(facts.lifecycleRules == 0 && facts.publicAccess == false, "\(facts)")
        try await moto.makeBucket("plain", locks: false)
        let plain = try await Self.bucket(moto, "plain").probe()
        #expect(plain.versioning == false && plain.objectLock == false && plain.deleteNeedsSecondFactor == false, "\(plain)")
    }

    @Test func encryptionAtRestIsAskedForWithItsKeyAndReadBack() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("plain", locks: false)
        let key = "arn:aws:kms:us-east-1:123456789012:key/0e8a5e5f-7d0a-4a59-9d2c-6f4d5f0c1a2b"
        let destination = try Self.bucket(moto, "plain", ["sse": "kms", "kms_key": key])
        let contract = DestinationContract(destination: destination, scratch: scratch)
        for size in [1000, 6 << 20] {
            let upload = try contract.makeUpload("object-\(size)", contract.bytes(size))
            let stored = try await destination.confirm(try await destination.put(upload), sha256: upload.sha256)
            #expect(stored.encryption == "aws:kms", "\(stored)")
            let look = try await moto.send("HEAD", "/plain/object-\(size)")
            #expect(look.header("x-amz-server-side-encryption-aws-kms-key-id") == key, "\(look)")
        }
        #expect(try await destination.probe().remarks == [])
    }

    @Test func aBucketThatIsNotThereSaysNothingOfItsObjects() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        let destination = try Self.bucket(moto, "elsewhere")
        let key = try #require(ObjectKey("daily/one"))
        do throws(Failure) {
            let found = try await destination.head(key, version: nil)
            Issue.record("it says of what was stored: \(found as Any)")
        } catch {
            #expect(error.kind == .denied && error.message.contains("NoSuchBucket"), "\(error)")
            #expect(error.hint?.contains("bucket's name") == true)
        }
    }

    @Test func whatATryWroteIsGoneAfterItAndWhatAKilledOneLeftOnceItIsOld() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        for isVersioned in [false, true] {
            let name = isVersioned ? "locked" : "plain"
            try await moto.makeBucket(name, locks: isVersioned)
            let destination = try Self.bucket(moto, name)
            let other = try #require(ObjectKey("serin-probe-of-another"))
            _ = try await destination.replace(other, with: [1, 2, 3])
            _ = try await destination.probe()
            #expect(try await destination.list(prefix: "", limit: 9).objects.map(\.key) == [other])
            _ = try await Self.bucket(moto, name, now: { MotoServer.now + .hours(2) }).probe()
            #expect(try await destination.list(prefix: "", limit: 9).objects == [])
            let versions = try await moto.send("GET", "/\(name)", query: [HTTPHeader("versions", "")])
            #expect(!String(decoding: versions.body, as: UTF8.self).contains("serin-probe"), "\(versions)")
        }
    }

    @Test func aLockIsStatedAndForbidsToDeleteAlsoAfterAnUploadInParts() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("locked", locks: true)
        let destination = try Self.bucket(moto, "locked")
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let lock = ObjectLock(mode: .compliance, until: MotoServer.now + .hours(24))
        for (key, size) in [("short", 1000), ("long", 11 << 20)] {
            var upload = try contract.makeUpload(key, contract.bytes(size))
            upload.lock = lock
            let stored = try await destination.put(upload)
            #expect(stored.lock == lock && stored.version != nil)
            _ = try await destination.confirm(stored, sha256: upload.sha256, lock: lock)
            let refused = await failure { () throws(Failure) in try await destination.delete(upload.key, version: stored.version)
            }
            #expect(refused?.kind == .denied)
            // A marker hides the key; the version is still read.
            _ = try await moto.send("DELETE", "/locked/" + key)
            #expect(try await destination.head(upload.key, version: nil) == nil)
            _ = try await destination.confirm(stored, sha256: upload.sha256, lock: lock)
        }
    }

    @Test func aWrongSecretIsDeniedWithoutShowingIt() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("plain", locks: false)
        let destination = try makeDestination(
            "s3",
            [
                "bucket": "plain", "endpoint": moto.url, "plain_http": "yes", "access_key_env": "ACCESS",
                "secret_key_env": "SECRET",
            ], secrets: ["ACCESS": moto.keys.accessKey, "SECRET": "wrongwrongwrong"])
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let upload = try contract.makeUpload("object", contract.bytes(10))
        let refused = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(refused?.kind == .denied)
        #expect(refused?.message.contains("SignatureDoesNotMatch") == true)
        #expect(refused?.description.contains("wrongwrong") == false)
        // The answer to a look has no body that could name the reason.
        let looked = await failure { () throws(Failure) in _ = try await destination.head(upload.key, version: nil) }
        #expect(looked?.message.contains("SignatureDoesNotMatch") == true, "\(String(describing: looked))")
        #expect(looked?.hint?.contains("access key") == true)
    }

    @Test func partsThatAKilledUploadLeftAreFoundAndAborted() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("plain", locks: false)
        _ = try await moto.send("POST", "/plain/pre/half", query: [HTTPHeader("uploads", "")])
        _ = try await moto.send("POST", "/plain/other/half", query: [HTTPHeader("uploads", "")])
        let destination = try Self.bucket(moto, "plain", ["prefix": "pre"])
        let pending = try await destination.pending()
        #expect(pending.map(\.key?.description) == ["half"])
        for upload in pending { try await destination.abort(upload) }
        #expect(try await destination.pending() == [])
    }

    @Test func moreObjectsThanOnePageHoldsAreListed() async throws {
        let scratch = try Scratch("serin-s3")
        defer { scratch.remove() }
        let moto = try await MotoServer(scratch: scratch)
        defer { moto.stop() }
        try await moto.makeBucket("plain", locks: false)
        for number in 0..<1003 {
            _ = try await moto.send("PUT", "/plain/many/\(number)", headers: [HTTPHeader("Content-Length", "1")], body: [0x78])
        }
        let destination = try Self.bucket(moto, "plain")
        let listing = try await destination.list(prefix: "many/", limit: 2000)
        #expect(listing.objects.count == 1003)
        #expect(await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 1002) }?.kind == .invalid)
    }
}
