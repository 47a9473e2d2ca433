internal import Glibc
internal import SerinLocks
internal import SerinModel
internal import SerinProcesses
internal import SerinTransport
internal import Testbed

/// How long a halt takes that comes by webhook to a daemon of a hundred rollouts: alone, and under a flood of readers and messages.
struct WebhookBench {
    private let services = DaemonRig.services
    private let halts = 33
    private let readers = 300
    private let token = "not-a-real-token"

    func run() async throws -> Section {
        let configuration = """
            version: 1
            listen: [{address: "127.0.0.1:0"}]
            hooks: {alerts: {kind: alertmanager, secret_env: HOOK_TOKEN}}

            """
        return try await DaemonRig.section(
            "webhook", configuration: configuration, environment: ["HOOK_TOKEN": token], measure: measure)
    }

    private func measure(_ rig: DaemonRig) async throws -> [Row] {
        let (daemon, standIn, state) = (rig.daemon, rig.standIn, rig.state)
        try await waitUntil("the daemon's address") { daemon.logTail().contains("listening at http:") }
        let line = daemon.logTail().split(separator: "\n").first { $0.contains("listening at http:") } ?? ""
        let address = String(line.split(separator: " ").last ?? "")
        try await rig.start(poll: .seconds(5))
        progress("webhook: \(halts) halts")
        let quiet = try await halted(1...halts, address, standIn)
        progress("webhook: \(halts) halts under a flood")
        let stream = try EventReaders(socket: state + "/daemon.sock", readers: readers, service: DaemonRig.name(services))
        defer { stream.stop() }
        // Everyone has the past before the time is taken: what is measured is that they go on reading.
        try await waitUntil("an answer to \(readers) readers", within: .seconds(120)) { stream.reading == readers }
        let (alone, start) = (Timing(quiet), DaemonRig.services + 1 - 2 * halts)
        var rows = [
            Row(
                name: "webhook until 0 read back, p50", value: alone.quantile(0.5), unit: "ms",
                note:
                    "of \(halts), from before the first byte is sent; \(services) rollouts, a poll each 5 s; a balancer that answers at once"
            ),
            Row(name: "webhook until 0 read back, p99", value: alone.quantile(0.99), unit: "ms"),
        ]
        for (index, rate) in [MessageFlood.Rate.each(second: 2000), .mostAnswered].enumerated() {
            progress("webhook: \(halts) halts under a flood \(rate)")
            let first = start + index * halts
            let (times, seen) = try await flooded(first...(first + halts - 1), rate, address, rig)
            let under = Timing(times)
            let isAimed = rate != .mostAnswered
            rows += [
                Row(
                    name: "under a flood \(rate), p50", value: under.quantile(0.5), unit: "ms",
                    aim: isAimed ? .below(2 * alone.quantile(0.5)) : nil,
                    note: "\(stream.reading) readers of server-sent events, \(Row.fixed(seen, places: 0)) messages a second"
                        + (isAimed ? "; aim: twice the time alone" : "; the processors are full")),
                Row(
                    name: "under a flood \(rate), p99", value: under.quantile(0.99), unit: "ms",
                    aim: isAimed ? .below(2 * alone.quantile(0.99)) : nil,
                    note: "on one machine with the flood's senders, which get the processor last"),
            ]
        }
        return rows
    }

    /// Halts services while messages come; returns the times and how many messages came a second.
    private func flooded(
        _ numbers: ClosedRange<Int>, _ rate: MessageFlood.Rate, _ address: String, _ rig: DaemonRig
    ) async throws -> (times: [Double], rate: Double) {
        let flood = try MessageFlood.begin(rate, at: address, token: token, log: rig.scratch.file("flood-\(rate.word).log"))
        defer { flood.stop(grace: .seconds(10)) }
        try await waitUntil("the flood") { MessageFlood.sent(flood) > 0 }
        let (clock, before) = (ContinuousClock(), MessageFlood.sent(flood))
        let start = clock.now
        let times = try await halted(numbers, address, rig.standIn)
        return (times, Double(MessageFlood.sent(flood) - before) / ((clock.now - start).milliseconds / 1000))
    }

    /// Halts services one after the other; returns the milliseconds that each took.
    private func halted(_ numbers: ClosedRange<Int>, _ address: String, _ standIn: StandIn) async throws -> [Double] {
        let transport = try Transport(connectionLimit: 2)
        defer { transport.shutdown() }
        var times: [Double] = []
        for number in numbers {
            let service = DaemonRig.name(number)
            let start = ContinuousClock().now
            let answer = try await transport.send(MessageFlood.alert(of: service, asksHalt: true, at: address, token: token))
            guard answer.status == 200 else { throw Failure(.invalid, "a halt was answered \(answer.status)") }
            try await waitUntil("weight 0 of \(service)", within: .seconds(30)) { standIn.zeroReadAt(service) != nil }
            if let end = standIn.zeroReadAt(service) { times.append((end - start).milliseconds) }
        }
        return times
    }
}

/// Readers of server-sent events, each with a connection of its own, read by one thread.
private final class EventReaders: Sendable {
    private let descriptors: [Int32]
    private let isOver = Locked(false)
    private let answered = Locked<Set<Int32>>([])

    init(socket path: String, readers: Int, service: String) throws {
        let request = Array("GET /v1/rollouts/\(service)/log?format=sse HTTP/1.1\r\nHost: serin\r\n\r\n".utf8)
        var opened: [Int32] = []
        for _ in 0..<readers {
            let descriptor = connection(path: path)
            guard descriptor >= 0, write(descriptor, request, request.count) == request.count else {
                throw Failure(.transient, "reader \(opened.count) could not connect")
            }
            opened.append(descriptor)
        }
        descriptors = opened
        let thread = startThread { [self] in read() }
        guard thread == 0 else { throw Failure(.transient, "no thread for the readers") }
    }

    /// How many readers have been sent something.
    var reading: Int { answered.withLock { $0.count } }

    private func read() {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        while !isOver.withLock({ $0 }) {
            var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&waiting, nfds_t(waiting.count), 100) > 0 else { continue }
            for one in waiting where one.revents != 0 {
                if recv(one.fd, &buffer, buffer.count, Int32(MSG_DONTWAIT)) > 0 {
                    answered.withLock { _ = $0.insert(one.fd) }
                } else {
                    usleep(1000)
                }
            }
        }
        for descriptor in descriptors { close(descriptor) }
    }

    func stop() { isOver.withLock { $0 = true } }
}
