internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// Sends what changes of a page while it is open, as server-sent events: `part` holds a part of the page, `line` a line of the log
/// under its entry's number, `beat` says that the connection stands, `end` that nothing more comes.
struct LiveStream: Sendable {
    /// How long a quiet connection waits between two looks.
    static let pause = Duration.seconds(5)

    /// Says that the connection stands. An event, because browsers keep comments from scripts.
    private static let beat = Array("event: beat\ndata: 1\n\n".utf8)

    let sink: any ResponseSink

    /// One event. Markup from these pages holds no line break, as text has none.
    private func event(_ name: String, id: Int64? = nil, _ markup: Markup) -> [UInt8] {
        let data = markup.html.textLines(keepingEmpty: true).map { "data: \($0)\n" }.joined()
        return Array(((id.map { "id: \($0)\n" } ?? "") + "event: \(name)\n" + data + "\n").utf8)
    }

    /// Follows a rollout until it is final or the reader gone.
    func follow(
        _ status: RolloutStatus, after sequence: Int64, page: (RolloutStatus) async throws -> RolloutPage,
        change: (RolloutStatus) async throws -> RolloutStatus
    ) async {
        var status = status
        var last = sequence
        var sent: [RolloutPage.Part: Markup] = [:]
        do {
            while !Task.isCancelled {
                let page = try await page(status)
                for part in RolloutPage.Part.allCases {
                    let markup = page.part(part)
                    guard sent[part] != markup else { continue }
                    sent[part] = markup
                    guard await sink.send(event("part", markup)) else { return }
                }
                for decision in page.view.history.decisions where decision.sequence > last {
                    last = decision.sequence
                    guard await sink.send(event("line", id: last, LogSection.line(decision))) else { return }
                }
                if status.isFinal {
                    _ = await sink.send(event("end", .empty))
                    return
                }
                guard await sink.send(Self.beat) else { return }
                status = try await change(status)
            }
        } catch {
            // The header is sent already; the browser asks again.
            return
        }
    }

    /// Follows all rollouts until the reader is gone.
    func follow(services page: () async throws -> ServicesPage) async {
        var sent: Markup?
        do {
            while !Task.isCancelled {
                let markup = try await page().part
                if markup != sent {
                    sent = markup
                    guard await sink.send(event("part", markup)) else { return }
                }
                guard await sink.send(Self.beat) else { return }
                try await Task.sleep(for: .seconds(2))
            }
        } catch {
            // The header is sent already; the browser asks again.
            return
        }
    }
}
