internal import CMicroHTTPD
internal import CSerinHTTPD
internal import Glibc
public import SerinAPI
internal import SerinLocks
public import SerinModel

/// Serves an API on a unix socket. libmicrohttpd's own threads read and write; the answers are made by tasks inside `run`.
public final class HTTPServer: Sendable {
    // Unchecked: libmicrohttpd documents the daemon as usable from any thread; it is used by `run` alone.
    private struct Daemon: @unchecked Sendable { let pointer: OpaquePointer }

    private struct Work: Sendable {
        let exchange: Exchange
        let request: Request
    }

    private enum Event: Sendable {
        case work(Work)
        case stop
    }

    private let socket: UnixSocket
    private let limits: Limits
    private let router: Router
    private let border: Border
    private let daemon: Daemon
    private let events: AsyncStream<Event>
    private let inlet: AsyncStream<Event>.Continuation
    private let isRefusing = Locked(false)

    /// Identifies the peer of a connected unix socket by its user id, as the kernel tells it.
    public static let peerCredentials: @Sendable (Int32) -> Principal? = { descriptor in
        var uid: UInt32 = 0
        return serin_peer_uid(descriptor, &uid) == 0 ? .uid(uid) : nil
    }

    /// Starts to serve: connections are accepted from now on, and answered once `run` is called.
    ///
    /// - Parameters:
    ///   - socket: Where; the server closes it and removes its file when it stops.
    ///   - router: What answers.
    ///   - limits: What is accepted.
    ///   - identify: Who a connected socket's peer is; nil leaves the request without a principal.
    public init(
        socket: UnixSocket, router: Router, limits: Limits = Limits(),
        identify: @escaping @Sendable (Int32) -> Principal? = HTTPServer.peerCredentials
    ) throws(Failure) {
        // Bounded by the connections, which hold one request each.
        let (events, inlet) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        border = Border(limits: limits, identify: identify) { exchange, request in
            if case .enqueued = inlet.yield(.work(Work(exchange: exchange, request: request))) { return true }
            return false
        }
        let daemon = serin_httpd_start(
            socket.descriptor, 2, UInt32(limits.connections), UInt32(max(1, limits.idle.milliseconds / 1000)), requestArrived,
            Unmanaged.passRetained(border).toOpaque(), requestCompleted,
            Unmanaged.passUnretained(border).toOpaque())
        guard let daemon else {
            close(socket.descriptor)
            socket.unlinkFile()
            throw Failure(.transient, "cannot serve at \(socket.path): libmicrohttpd did not start")
        }
        self.daemon = Daemon(pointer: daemon)
        self.socket = socket
        self.limits = limits
        self.router = router
        self.events = events
        self.inlet = inlet
    }

    /// Asks the server to stop: no new connection is taken, requests under way have the grace period, then `run` returns.
    public func stop() { inlet.yield(.stop) }

    /// Answers requests until `stop` is called or the task is cancelled. Must be called once.
    public func run() async {
        let (stops, stopped) = AsyncStream.makeStream(of: Void.self)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.serve(stopped) }
            group.addTask {
                for await _ in stops {}
                // Cancelled, and so ended early, when every request is answered before the grace period is over.
                try? await Task.sleep(for: .milliseconds(self.limits.grace.milliseconds))
            }
            await group.next()
            group.cancelAll()
        }
        refuseNew()
        border.abandonAll()
        await shutDown()
    }

    /// Answers every request in a task of its own, until told to stop; returns when all are answered.
    private func serve(_ stopped: AsyncStream<Void>.Continuation) async {
        await withDiscardingTaskGroup { group in
            for await event in events {
                switch event {
                case .work(let work): group.addTask { await self.answer(work) }
                case .stop:
                    refuseNew()
                    stopped.finish()
                }
            }
        }
        stopped.finish()
    }

    private func answer(_ work: Work) async {
        let response = await router.respond(to: work.request)
        work.exchange.complete(response)
        guard case .stream(let write) = response.body else { return }
        await write(work.exchange)
        work.exchange.end()
    }

    private func refuseNew() {
        inlet.finish()
        let isFirst = isRefusing.withLock { isRefusing in
            defer { isRefusing = true }
            return !isRefusing
        }
        // A second call would return the same number, which may be another file's by then.
        guard isFirst else { return }
        socket.unlinkFile()
        let descriptor = MHD_quiesce_daemon(daemon.pointer)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Lets the answers that are ready be written, then ends libmicrohttpd's threads; on a thread of its own because that waits.
    private func shutDown() async {
        await withCheckedContinuation { continuation in
            onNewThread {
                let clock = ContinuousClock()
                let limit = clock.now + .seconds(1)
                while !self.border.isIdle, clock.now < limit { usleep(1000) }
                MHD_stop_daemon(self.daemon.pointer)
                // The threads were the only users of what `init` retained for them.
                Unmanaged.passUnretained(self.border).release()
                continuation.resume()
            }
        }
    }
}
