import FoundationEssentials
import SerinModel
import SerinPrometheus
import Testing

/// One answer captured from a real Prometheus, with what was asked.
struct CapturedSample: Sendable, CustomStringConvertible {
    var name: String
    var path: String
    var status: Int
    var isJSON: Bool
    var body: [UInt8]

    var description: String { name }

    /// Whether it is an answer to a query, which the parser must take.
    var isQueryAnswer: Bool {
        let bare = path.prefix { $0 != "?" }
        return status == 200 && isJSON && (bare == "/api/v1/query" || bare == "/api/v1/query_range")
    }

    /// Every captured file: those that `index.json` describes, and the few beside them as files of unknown status.
    static func all() throws -> [CapturedSample] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Samples")
        let index = try JSONValue(parsing: Array(Data(contentsOf: folder.appending(path: "index.json"))))
        var samples: [CapturedSample] = []
        var seen: Set<String> = []
        for item in index.items ?? [] {
            guard let file = item["file"]?.text, let data = try? Data(contentsOf: folder.appending(path: file)) else { continue }
            // Two captures share a file name: what the index says of the earlier one does not hold for the file.
            guard item["bytes"]?.integer == Int64(data.count) else { continue }
            seen.insert(file)
            samples.append(
                CapturedSample(
                    name: item["name"]?.text ?? file, path: item["path"]?.text ?? "", status: Int(item["status"]?.integer ?? 0),
                    isJSON: item["content_type"]?.text == "application/json", body: Array(data)))
        }
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() where !seen.contains(file) {
            let data = try Data(contentsOf: folder.appending(path: file))
            samples.append(CapturedSample(name: file, path: "", status: 0, isJSON: false, body: Array(data)))
        }
        return samples
    }
}

@Suite struct SampleTests {
    @Test func everyCapturedAnswerIsTakenOrRefusedAsItsStatusSays() throws {
        var taken = 0
        var refused = 0
        for sample in try CapturedSample.all() {
            // Captured compressed: the transport undoes that before the parser sees it.
            let isCompressed = sample.body.starts(with: [0x1F, 0x8B])
            switch parsed(sample.body) {
            case .success:
                #expect(sample.isQueryAnswer || sample.status == 0, "\(sample)")
                taken += 1
            case .failure(.refused(let type, let message)):
                #expect([400, 422, 503, 0].contains(sample.status), "\(sample)")
                #expect(!type.isEmpty && !message.isEmpty, "\(sample)")
                refused += 1
            case .failure(let error): #expect(!sample.isQueryAnswer || isCompressed, "\(sample): \(error)")
            }
        }
        #expect(taken >= 35, "\(taken)")
        #expect(refused >= 15, "\(refused)")
    }

    @Test func theWarningOfARemoteReadBackendIsKept() throws {
        let sample = try #require(CapturedSample.all().first { $0.name == "p2_remote_read_down.body" })
        let answer = try parsed(sample.body).get()
        #expect(answer.warnings.count == 1)
        #expect(answer.series?.first?.samples.first?.value == 100)
    }

    @Test func mutatedAnswersAreAnswersOrErrorsAndNeverTrap() throws {
        let samples = try CapturedSample.all().filter { $0.body.count < 4000 && !$0.body.isEmpty }
        let seed: UInt64 = 20_261_121
        print("mutations with seed \(seed)")
        var random = SeededRandom(seed: seed)
        let marks = Array(#"{}[]",:\0.eE+-nN"#.utf8) + [0, 0xFF, 0xC3]
        var errors = 0
        for round in 0..<30_000 {
            var bytes = samples[round % samples.count].body
            for _ in 0...Int.random(in: 0..<4, using: &random) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<6, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes[place] = marks.randomElement(using: &random) ?? 0
                case 2: bytes.remove(at: place)
                case 3: bytes.insert(marks.randomElement(using: &random) ?? 0, at: place)
                case 4: bytes.removeLast(bytes.count - place)
                default:
                    let other = Int.random(in: place..<bytes.count, using: &random)
                    bytes.insert(contentsOf: bytes[place...other].prefix(200), at: place)
                }
            }
            if case .failure(let error) = parsed(bytes) {
                errors += 1
                #expect(!error.description.isEmpty)
            }
        }
        #expect(errors > 10_000)
    }
}
