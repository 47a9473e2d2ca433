/// The parts of the bench that can be asked for.
enum BenchGroup: String, CaseIterable, Sendable {
    case verdict, parse, polls, halt, quality

    func run() async throws -> Section {
        switch self {
        case .verdict: VerdictBench().run()
        case .parse: ParseBench().run()
        case .polls: try await PollBench().run()
        case .halt: try await HaltBench().run()
        case .quality: await QualityBench().run()
        }
    }
}
