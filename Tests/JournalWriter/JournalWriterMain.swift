import Glibc
import SerinCatalogue
import SerinCrypto
import SerinModel
import SerinPorts
import SerinRecords
import SerinRollouts
import SerinSQLite

/// Writes a journal and says on standard output what was acknowledged, so that a test can kill it, fill its disk or break its
/// writes and compare.
@main struct JournalWriterMain {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "write" where arguments.count == 4:
            await write(root: arguments[1], count: Int(arguments[2]) ?? 0, size: Int(arguments[3]) ?? 0)
        case "catalogue" where arguments.count == 4:
            await writeCatalogue(root: arguments[1], from: Int64(arguments[2]) ?? 0, count: Int64(arguments[3]) ?? 0)
        case "look" where arguments.count == 2: await readCatalogue(root: arguments[1])
        case "hold" where arguments.count == 2: await hold(root: arguments[1])
        case "verify" where arguments.count == 2: await verify(root: arguments[1])
        case "measure" where arguments.count == 2: await measure(root: arguments[1])
        case "measure": measure()
        default:
            say(
                "usage: journal-writer write ROOT COUNT BYTES | catalogue ROOT FIRST COUNT | look ROOT | hold ROOT | verify ROOT | measure [ROOT]"
            )
            exit(2)
        }
    }

    /// One line, in one write, at once.
    static func say(_ text: String) {
        let bytes = Array((text.split(separator: "\n").first.map(String.init) ?? "").utf8) + [0x0A]
        _ = Glibc.write(1, bytes, bytes.count)
    }

    static func folder(_ root: String) -> StateFolder? { ServiceName("checkout").map { StateFolder(under: root, service: $0) } }

    static func open(_ root: String) async -> SQLiteStore? {
        guard let folder = folder(root) else { return nil }
        do {
            let store = try await SQLiteStore.open(
                folder, purpose: "journal-writer", at: Instant(millisecondsSince1970: 1_795_000_000_000), reserve: 1 << 20)
            say("opened \(store.epoch)")
            return store
        } catch {
            say("failed \(error)")
            return nil
        }
    }

    /// Appends pairs of entries of the given size; after a failure small ones, 5 at most.
    static func write(root: String, count: Int, size: Int) async {
        guard let store = await open(root) else { exit(1) }
        var left = count
        var size = size
        var hasFailed = false
        while left > 0 {
            left -= 1
            do {
                let entries = try await store.append([draft(size), draft(size)])
                say("acked \(entries.last?.sequence ?? 0)")
            } catch {
                say("failed \(error)")
                if !hasFailed { left = 5 }
                hasFailed = true
                size = 100
            }
        }
        await store.close()
        say("done")
    }

    /// Begins backups in a catalogue, one by one; the first failure ends it.
    static func writeCatalogue(root: String, from first: Int64, count: Int64) async {
        do {
            let store = try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: root))
            for number in first..<first + count {
                let id = BackupID(millisecondsSince1970: 1_795_000_000_000 + number, random: [])
                let now = Instant(millisecondsSince1970: 1_795_000_000_000)
                let order = BackupOrder(
                    id: id, project: "shop", target: "checkout", kind: .logical, createdAt: now, createdBy: .serin)
                say("acked \(try await store.append([CatalogueEvent(backup: id, at: now, by: .serin, .begun(order))]))")
            }
            await store.close()
            say("done")
        } catch {
            say("failed \(error)")
        }
    }

    /// Reads a catalogue and changes nothing.
    static func readCatalogue(root: String) async {
        do {
            guard let store = try await SQLiteCatalogue.read(SQLiteCatalogue.path(under: root)) else { return say("nothing") }
            say("looked \(try await store.state().records.count)")
            await store.close()
        } catch {
            say("failed \(error)")
        }
    }

    static func draft(_ size: Int) -> Draft {
        let text = String(repeating: "x", count: size)
        return Draft(
            rollout: RolloutID("checkout-1"), at: Instant(millisecondsSince1970: 1_795_000_000_001),
            record: .effect(.record(Decision(topic: "state", text: text))))
    }

    /// Holds the journal until it is killed.
    static func hold(root: String) async {
        guard let store = await open(root) else { exit(1) }
        // A pause that is cut short does no harm.
        // sleeps: until whoever started it ends it
        try? await Task.sleep(for: .seconds(3600))
        await store.close()
    }

    static func verify(root: String) async {
        guard let folder = folder(root) else { exit(1) }
        do {
            let store = try await SQLiteStore.read(folder.journal)
            let result = try await store.verifyChain(digest: SHA256.digestOrEmpty)
            await store.close()
            for fault in result.faults { say("fault \(fault)") }
            say("verified \(result.head.size)")
        } catch {
            say("failed \(error)")
        }
    }

    /// The time of opening a journal and of durable appends.
    static func measure(root: String) async {
        let clock = ContinuousClock()
        let start = clock.now
        guard let store = await open(root) else { return }
        let opening = clock.now - start
        var times: [Swift.Duration] = []
        for _ in 0..<500 {
            let before = clock.now
            do { _ = try await store.append([draft(400)]) } catch { say("failed \(error)") }
            times.append(clock.now - before)
        }
        times.sort()
        await store.close()
        say("opening \(opening), append p50 \(times[250]), p99 \(times[495]), longest \(times[499])")
    }

    /// The cost of a large observation: ten histograms of six instances with 14 buckets each.
    static func measure() {
        let now = Instant(millisecondsSince1970: 1_795_000_000_000)
        let rows = (0..<6).map { instance in
            SeriesRow(
                labels: [Label("instance", "10.0.0.\(instance):9090"), Label("version", "1.9.0")],
                value: 12_345.0 + Double(instance),
                buckets: (0..<14).map { Bucket(edge: 0.005 * Double(1 << $0), count: Double(1000 * $0) + 0.5) }, sampledAt: now)
        }
        let reading = TelemetryReading(
            evaluatedAt: now, series: (0..<10).map { _ in SeriesReading(rows: rows) }, instances: [], alerts: nil, failures: [])
        let record = Record.event(
            .observed(Observation(at: now, telemetry: reading, database: nil, traffic: TrafficReading(reading: nil))))
        let chain = Chain(digest: SHA256.digestOrEmpty)
        let clock = ContinuousClock()
        var link: [Swift.Duration] = []
        var read: [Swift.Duration] = []
        var size = 0
        for _ in 0..<200 {
            do {
                var entries: [Entry] = []
                link.append(
                    try clock.measure {
                        entries = try chain.link([Draft(rollout: nil, at: now, record: record)], after: nil, epoch: 1)
                    })
                let body = entries.first?.body ?? []
                size = body.count
                read.append(try clock.measure { _ = try CanonicalDecoder.decode(Record.self, from: body) })
            } catch {
                say("failed \(error)")
                return
            }
        }
        say("observation of \(size) bytes: encode and link \(link.sorted()[100]), decode \(read.sorted()[100])")
    }
}
