internal import SerinModel
internal import SerinServer
internal import SerinTransport

/// What people were not told by the daemon's channels, in lines for those who look at rollouts.
struct UndeliveredNotices: Sendable {
    let socket: String

    /// A line for each channel that waits, and one for what was given up; none when the daemon has no channels or does not answer.
    func lines() async -> [String] {
        guard UnixSocket.answers(at: socket) else { return [] }
        var request = HTTPRequest(url: "http://serin/v1/notifications", timeout: .seconds(2))
        request.unixSocket = socket
        // Whoever asks for rollouts is not kept from them by this.
        guard let answer = try? await Transport(connectionLimit: 1).send(request), answer.status == 200,
            let document = try? JSONValue(parsing: answer.body)
        else { return [] }
        var lines: [String] = []
        for channel in document["channels"]?.items ?? [] {
            guard let name = channel["name"]?.text, let waiting = channel["waiting"]?.integer, waiting > 0,
                let failure = channel["failure"]?.text
            else { continue }
            let since = channel["oldest"]?.text.map { " since \($0)" } ?? ""
            let next = channel["configured"] == .bool(false) ? "" : " and are tried again"
            lines.append("\(waiting) notifications were NOT delivered to \(name)\(since)\(next): \(failure)")
        }
        let dead = document["given_up"]?.items ?? []
        if let last = dead.first, let channel = last["channel"]?.text, let failure = last["failure"]?.text {
            lines.append("\(dead.count) notifications were GIVEN UP, the last one to \(channel): \(failure)")
        }
        return lines
    }
}
