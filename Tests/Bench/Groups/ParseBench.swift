internal import SerinPrometheus
internal import SerinTrials

/// How fast Prometheus' answers are read.
struct ParseBench {
    private let size = 5_000_000

    func run() -> Section {
        progress("parse: answers of 5 MB")
        return Section(rows: [
            row("matrix", matrix(), aim: .atLeast(200), "series of 360 samples"),
            row("vector", vector(), aim: .atLeast(200), "one sample a series, 3 labels"),
            row("vector of buckets", buckets(), aim: nil, "one sample a series, 3 labels, as histograms answer"),
        ])
    }

    private func row(_ kind: String, _ bytes: [UInt8], aim: Row.Aim?, _ note: String) -> Row {
        var series = 0
        let timing = Timing.of(30) {
            // The answers below are well-formed; a refusal would show as an absurd rate.
            if let answer = try? AnswerParser.parse(bytes) { series = answer.series?.count ?? 0 }
        }
        return Row(
            name: "reading a \(kind) of \(Row.fixed(Double(bytes.count) / 1e6, places: 1)) MB",
            value: Double(bytes.count) / timing.median, unit: "MB/s", aim: aim, note: "median of 30; \(series) series: \(note)")
    }

    private func answer(_ type: String, _ series: (inout String, Int) -> Void) -> [UInt8] {
        var text = #"{"status":"success","data":{"resultType":"\#(type)","result":["#
        text.reserveCapacity(size + 100_000)
        var count = 0
        while text.utf8.count < size {
            if count > 0 { text += "," }
            series(&text, count)
            count += 1
        }
        text += "]}}"
        return Array(text.utf8)
    }

    private func labels(_ count: Int) -> String {
        #""instance":"10.0.\#(count / 250).\#(count % 250):9100","job":"checkout","version":"1.9.\#(count % 2)""#
    }

    private func matrix() -> [UInt8] {
        var generator = SeededGenerator(seed: 3)
        return answer("matrix") { text, count in
            text += #"{"metric":{\#(labels(count))},"values":["#
            var value = 1_000_000
            for k in 0..<360 {
                value += Int(generator.next() % 4000)
                text += (k == 0 ? "" : ",") + "[\(1_800_000_000 + 60 * k),\"\(value)\"]"
            }
            text += "]}"
        }
    }

    private func vector() -> [UInt8] {
        var generator = SeededGenerator(seed: 4)
        return answer("vector") { text, count in
            let value = 1_000_000 + generator.next() % 1_000_000
            text += #"{"metric":{\#(labels(count))},"value":[1800000000.123,"\#(value)"]}"#
        }
    }

    private func buckets() -> [UInt8] {
        let edges = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]
        var generator = SeededGenerator(seed: 5)
        return answer("vector") { text, count in
            let instance = count / edges.count
            let value = 1_000_000 + generator.next() % 1_000_000
            text +=
                #"{"metric":{"instance":"10.0.\#(instance / 250).\#(instance % 250):9100","le":"\#(edges[count % edges.count])","#
                + #""version":"1.9.0"},"value":[1800000000.123,"\#(value)"]}"#
        }
    }
}
