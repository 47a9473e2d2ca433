/// The parts of the bench that can be asked for.
enum BenchGroup: String, CaseIterable, Sendable {
    case verdict, parse, polls, start, memory, halt, webhook, backup, quality

    func run() async throws -> Section {
        switch self {
        case .verdict: VerdictBench().run()
        case .parse: ParseBench().run()
        case .polls: try await PollBench().run()
        case .start: try await StartBench().run()
        case .memory: try await MemoryBench().run()
        case .halt: try await HaltBench().run()
        case .webhook: try await WebhookBench().run()
        case .backup: try await BackupBench().run()
        case .quality: await QualityBench().run()
        }
    }
}
