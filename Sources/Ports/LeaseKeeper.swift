public import SerinCatalogue
public import SerinModel

/// Holds a target's lease while something works under it: a backup, its deletion, a migration.
public struct LeaseKeeper: Sendable {
    private let catalogue: any CatalogueStore
    private let now: @Sendable () -> Instant
    private let length: Duration

    /// A keeper.
    ///
    /// - Parameter length: How long a lease lasts unless it is renewed, which happens three times as often.
    public init(catalogue: any CatalogueStore, now: @escaping @Sendable () -> Instant, length: Duration) {
        self.catalogue = catalogue
        self.now = now
        self.length = length
    }

    private enum Outcome<Value: Sendable>: Sendable {
        case done(Result<Value, Failure>)
        /// Nil when the work was given up meanwhile: then it says itself how it ended.
        case lost(Failure?)
    }

    /// Runs the body and renews the lease meanwhile. When the lease is lost the body's task is cancelled, and its failure is the
    /// loss of the lease. The lease is given back in the end.
    ///
    /// - Throws: `conflict` when another holds it.
    public func hold<Value: Sendable>(
        _ request: LeaseRequest, _ body: @escaping @Sendable (TargetLease) async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let lease: TargetLease
        do throws(CatalogueStoreError) { lease = try await catalogue.takeLease(request) } catch {
            // What is done for a rollout is done under the lease that the rollout holds, renews and gives back.
            if case .held(let existing) = error, let rollout = request.rollout, existing.rollout == rollout {
                return try await body(existing)
            }
            throw error.failure
        }
        let result = await withTaskGroup(of: Outcome<Value>.self) { group in
            group.addTask {
                do throws(Failure) { return .done(.success(try await body(lease))) } catch { return .done(.failure(error)) }
            }
            group.addTask { .lost(await keep(lease)) }
            var lost: Failure?
            while let outcome = await group.next() {
                switch outcome {
                case .done(let result):
                    group.cancelAll()
                    return lost.map { .failure($0) } ?? result
                case .lost(let failure):
                    guard let failure else { continue }
                    lost = failure
                    group.cancelAll()
                }
            }
            return Result<Value, Failure>.failure(Failure(.transient, "the work under the lease ended without an answer"))
        }
        // A lease that cannot be given back ends by itself.
        try? await catalogue.releaseLease(lease)
        return try result.get()
    }

    /// Renews until it is cancelled or the lease is lost.
    private func keep(_ lease: TargetLease) async -> Failure? {
        var lease = lease
        while true {
            do { try await Task.sleep(for: .milliseconds(max(50, length.milliseconds / 3))) } catch { return nil }
            do throws(CatalogueStoreError) {
                lease = try await catalogue.renewLease(lease, at: now(), for: length)
            } catch {
                // What passes is tried again; a lease that another has is gone.
                if case .leaseLost = error { return error.failure }
            }
        }
    }
}
