public import SerinRecords

extension Store {
    /// Checks the whole chain, page by page, and returns every fault with the journal's end as it is now.
    ///
    /// - Parameters:
    ///   - checkpoint: A noted size and hash that the journal must contain; nil checks the chain alone, which cannot tell
    ///     whether the end was cut off.
    ///   - digest: SHA-256.
    public func verifyChain(
        against checkpoint: Checkpoint? = nil, digest: @escaping Digest
    ) async throws(StoreError) -> (faults: [ChainFault], head: Checkpoint) {
        var verification = ChainVerification(chain: Chain(digest: digest), checkpoint: checkpoint)
        var next: Int64 = 0
        while true {
            let page = try await entries(after: next, rollout: nil, limit: 64)
            guard let end = page.last else { break }
            for entry in page { verification.take(entry) }
            next = end.sequence
        }
        verification.finish()
        return (verification.faults, Checkpoint(verification.last))
    }
}
