internal import SerinController
internal import SerinModel
internal import SerinSQLite
internal import SerinTransport
internal import Testbed

/// How long a halt takes on real balancers, from handing it in to reading 0 back.
struct HaltBench {
    private let halts = 200

    func run() async throws -> Section {
        var section = Section()
        for kind in BenchBalancer.Kind.allCases {
            do {
                section.rows += try await rows(kind)
            } catch {
                // The other balancers can still be measured.
                progress("halt: \(kind.rawValue) could not be measured: \(error)")
            }
        }
        return section
    }

    private func rows(_ kind: BenchBalancer.Kind) async throws -> [Row] {
        progress("halt: \(halts) halts on \(kind.rawValue)")
        let scratch = try Scratch("serin-bench")
        defer { scratch.remove() }
        let transport = try Transport()
        defer { transport.shutdown() }
        let control = try OriginServer(cohort: "control")
        defer { control.stop() }
        let canary = try OriginServer(cohort: "canary")
        defer { canary.stop() }
        let balancer = try await BenchBalancer.start(kind, scratch: scratch, control: control.port, canary: canary.port)
        defer { balancer.stop() }
        let rig = try await HaltRig(settings: balancer.settings, transport: transport, scratch: scratch)
        let rows = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await rig.controller.run() }
            defer { rig.controller.stop() }
            return try await measure(kind, rig)
        }
        await rig.store.close()
        return rows
    }

    private func measure(_ kind: BenchBalancer.Kind, _ rig: HaltRig) async throws -> [Row] {
        var taken: [Double] = []
        var writes: [Double] = []
        var reads: [Double] = []
        var durable: [Double] = []
        // The first rounds warm connections and caches up.
        for round in -5..<halts {
            try await rig.startAndRaise()
            let halt = try await rig.halt()
            let write = try await rig.write()
            // A balancer that closes connections when it takes a change (Caddy does) can break one of the driver's calls; the
            // controller asks again then, and so does the next round.
            let exchange = try? await rig.exchange()
            guard round >= 0 else { continue }
            taken.append(halt)
            durable.append(write)
            if let exchange {
                writes.append(exchange.write)
                reads.append(exchange.read)
            }
        }
        try await rig.startAndRaise()
        let stalled = try await rig.halt(stalling: .seconds(5))
        let name = kind.rawValue
        let (halt, write, read, disk) = (Timing(taken), Timing(writes), Timing(reads), Timing(durable))
        func aim(_ share: Double) -> Double { 3 * write.quantile(share) + disk.quantile(share) }
        func trip(_ timing: Timing, _ what: String, _ note: String) -> [Row] {
            [
                Row(name: "\(name): \(what), p50", value: timing.quantile(0.5), unit: "ms", note: note),
                Row(name: "\(name): \(what), p99", value: timing.quantile(0.99), unit: "ms"),
            ]
        }
        return [
            Row(
                name: "\(name): halt until 0 read back, p50", value: halt.quantile(0.5), unit: "ms",
                note: "of \(halts), from handing it in to a controller at rest"),
            Row(
                name: "\(name): halt until 0 read back, p99", value: halt.quantile(0.99), unit: "ms", aim: .below(aim(0.99)),
                note: "aim: 3 round trips + 1 durable write, p99 of each"),
        ] + trip(write, "round trip", "one change of the weight asked for and answered, by the driver alone")
            + trip(read, "one reading of the weight", "")
            + trip(disk, "one durable write", "one entry appended to the same journal, synced")
            + [
                Row(
                    name: "\(name): halt with the commit stalled for 5 s", value: stalled, unit: "ms",
                    aim: .below(1000 + aim(0.99)),
                    note: "once; the lowering goes ahead of the journal after 1 s; aim: that + 3 round trips + 1 durable write")
            ]
    }
}
