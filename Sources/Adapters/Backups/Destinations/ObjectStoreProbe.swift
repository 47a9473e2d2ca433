internal import SerinCatalogue
internal import SerinModel
internal import SerinTransport

/// What can be learned about a bucket. A right that the identity lacks makes a fact unknown, not false.
extension ObjectStore {
    func probe() async throws(Failure) -> DestinationFacts {
        let probe = try ProbeObject(at: environment.now())
        let digest = try digest(of: probe.bytes)
        let stored = try await environment.retries.agreeing(
            "what was written to \(probe.key) at \(name) reads back differently"
        ) {
            () throws(Failure) in
            let stored = try await replace(probe.key, with: probe.bytes)
            return try await get(probe.key, version: stored.version, to: nil, limit: 1 << 10).sha256 == digest ? stored : nil
        }
        var facts = DestinationFacts(isWritable: true)
        facts.remarks += try await encryptionRemarks(stored)
        await probe.remove(stored, from: self)
        await versioning(&facts)
        if let found = await question("object-lock", none: "ObjectLockConfigurationNotFoundError", &facts) {
            facts.objectLock = found.map { $0["ObjectLockEnabled"]?.text == "Enabled" } ?? false
        }
        if let found = await question("encryption", none: "ServerSideEncryptionConfigurationNotFoundError", &facts) {
            let byDefault = found?["Rule"]?["ApplyServerSideEncryptionByDefault"]?["SSEAlgorithm"]?.text
            facts.defaultEncryption = byDefault ?? ""
        }
        if let found = await question("lifecycle", none: "NoSuchLifecycleConfiguration", &facts) {
            facts.lifecycleRules = found?.all("Rule").count ?? 0
        }
        await publicAccess(&facts)
        return facts
    }

    /// What the store says of the encryption at rest that is asked for, where it is something else.
    private func encryptionRemarks(_ stored: StoredObject) async throws(Failure) -> [String] {
        guard !settings.encryption.isEmpty else { return [] }
        let answer = try await environment.retries.run { _ throws(Failure) in
            try await send("HEAD", stored.key, query: versionQuery(stored.version))
        }
        return settings.encryption.compactMap { asked in
            let told = answer.header(asked.name) ?? ""
            // A key is told by its full name, with its version at Google; what another name of it stands for, only the store knows.
            let isKey = asked.name.hasSuffix("-key-id") || asked.name.hasSuffix("-key-name")
            let isIt =
                isKey ? told.contains(asked.value) || (asked.value.contains("alias/") && !told.isEmpty) : told == asked.value
            return isIt
                ? nil : "\(asked.name): \(asked.value) is asked for, and the store says \(told.isEmpty ? "nothing of it" : told)"
        }
    }

    private func versioning(_ facts: inout DestinationFacts) async {
        guard let found = await question("versioning", none: "", &facts) else { return }
        facts.versioning = found?["Status"]?.text == "Enabled"
        if dialect.hasParts { facts.deleteNeedsSecondFactor = (found?["MfaDelete"] ?? found?["MFADelete"])?.text == "Enabled" }
    }

    private func publicAccess(_ facts: inout DestinationFacts) async {
        let switches = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
        if dialect.hasParts,
            let found = await question("publicAccessBlock", none: "NoSuchPublicAccessBlockConfiguration", &facts),
            let block = found, switches.allSatisfy({ block[$0]?.text == "true" })
        {
            facts.publicAccess = false
            return
        }
        guard let acl = await question("acl", none: "", &facts) else { return }
        let grants = acl?["AccessControlList"]?.all("Grant") ?? []
        if grants.contains(where: { ($0["Grantee"]?["URI"]?.text ?? "").hasSuffix("/AllUsers") }) {
            facts.publicAccess = true
        } else if dialect.hasParts, let found = await question("policyStatus", none: "NoSuchBucketPolicy", &facts) {
            facts.publicAccess = found?["IsPublic"]?.text.lowercased() == "true"
        }
    }

    /// The answer to a question about the bucket: `.some(nil)` when there is no such configuration, nil when it cannot be read, which
    /// is remarked.
    private func question(_ name: String, none: String, _ facts: inout DestinationFacts) async -> XMLElement?? {
        do throws(Failure) {
            let answer = try await environment.retries.run { _ throws(Failure) in
                let answer = try await send("GET", nil, query: [HTTPHeader(name, "")])
                if let kind = answer.failureClass(ofWrite: false), kind != .invalid, kind != .denied {
                    throw refusal("GET ?\(name) of", nil, answer)
                }
                return answer
            }
            if answer.failureClass(ofWrite: false) == nil { return .some(try root("GET ?\(name) of", nil, answer)) }
            if !none.isEmpty, XMLElement.root(of: answer.body)?["Code"]?.text == none { return .some(nil) }
            throw refusal("GET ?\(name) of", nil, answer)
        } catch {
            facts.remarks.append(error.message)
            return nil
        }
    }
}
