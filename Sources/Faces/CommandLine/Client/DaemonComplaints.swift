internal import SerinModel
internal import SerinServer
internal import SerinTransport

/// What the daemon says is wrong with itself, in lines for those who look at rollouts.
struct DaemonComplaints: Sendable {
    let socket: String

    /// A line for each thing that it is not ready for, a service that it cannot control for example; none when it does not answer.
    func lines() async -> [String] {
        guard UnixSocket.answers(at: socket) else { return [] }
        var request = HTTPRequest(url: "http://serin/readyz", timeout: .seconds(2))
        request.unixSocket = socket
        // Whoever asks for rollouts is not kept from them by this.
        guard let answer = try? await Transport(connectionLimit: 1).send(request),
            let document = try? JSONValue(parsing: answer.body)
        else { return [] }
        return (document["checks"]?.items ?? []).compactMap { check in
            // Notifications have lines of their own, and the halt file is looked at where it stands.
            guard let name = check["name"]?.text, let complaint = check["complaint"]?.text,
                name.hasPrefix("journal of ") || name.hasPrefix("reserve of ") || name == "certificates"
            else { return nil }
            return "the daemon: \(name): \(complaint)"
        }
    }
}
