internal import CMicroHTTPD
internal import CSerinHTTPD
internal import Glibc
public import SerinAPI
internal import SerinLocks
public import SerinModel

/// Serves a router on sockets. libmicrohttpd's own threads read and write; the answers are made by tasks inside `run`.
public final class HTTPServer: Sendable {
    /// One socket with the threads that serve it, which are the only users of what is retained for them.
    // Unchecked: libmicrohttpd documents the daemon as usable from any thread; the texts are only read until it has stopped.
    private struct Door: @unchecked Sendable {
        let listener: Listener
        let border: Border
        let daemon: OpaquePointer
        /// Certificate, key and authorities, to be freed when the daemon has stopped.
        let texts: [UnsafeMutablePointer<CChar>?]
    }

    private struct Work: Sendable {
        let exchange: Exchange
        let request: Request
    }

    private enum Event: Sendable {
        case work(Work)
        case stop
    }

    private let limits: Limits
    private let router: Router
    private let doors: [Door]
    private let events: AsyncStream<Event>
    private let inlet: AsyncStream<Event>.Continuation
    private let isRefusing = Locked(false)
    /// How many answers stay open.
    private let streams = Locked(0)

    /// Starts to serve: connections are accepted from now on, and answered once `run` is called.
    ///
    /// - Parameters:
    ///   - listeners: Where; the server closes them, and removes the files of sockets, when it stops.
    ///   - router: What answers.
    ///   - limits: What each of the listeners accepts.
    ///   - report: Told of peers that are disconnected for the certificate that they showed, on a thread that must not wait.
    public init(
        listeners: [Listener], router: Router, limits: Limits = Limits(),
        report: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(Failure) {
        // Bounded by the connections, which hold one request each.
        let (events, inlet) = AsyncStream.makeStream(of: Event.self, bufferingPolicy: .unbounded)
        var doors: [Door] = []
        for (index, listener) in listeners.enumerated() {
            guard let door = Self.open(listener, limits, report, inlet) else {
                for door in doors { Self.close(door) }
                for rest in listeners[index...] { rest.abandon() }
                throw Failure(.transient, "cannot serve at \(listener.place): libmicrohttpd did not start")
            }
            doors.append(door)
        }
        self.doors = doors
        self.limits = limits
        self.router = router
        self.events = events
        self.inlet = inlet
    }

    /// Starts to serve on one unix socket.
    public convenience init(socket: UnixSocket, router: Router, limits: Limits = Limits()) throws(Failure) {
        try self.init(listeners: [.unix(socket)], router: router, limits: limits)
    }

    private static func open(
        _ listener: Listener, _ limits: Limits, _ report: @escaping @Sendable (String) -> Void,
        _ inlet: AsyncStream<Event>.Continuation
    ) -> Door? {
        let border = Border(limits: limits, isEncrypted: listener.tls != nil, report: report) { exchange, request in
            if case .enqueued = inlet.yield(.work(Work(exchange: exchange, request: request))) { return true }
            return false
        }
        let texts = [listener.tls?.certificate, listener.tls?.key, listener.tls?.clientAuthorities].map {
            $0.flatMap { strdup($0) }
        }
        var settings = serin_httpd_settings()
        settings.listening = listener.descriptor
        settings.threads = 2
        settings.connections = UInt32(limits.connections)
        if case .tcp = listener {
            settings.address_connections = UInt32(limits.addressConnections)
        }
        settings.timeout_seconds = UInt32(max(1, limits.idle.milliseconds / 1000))
        settings.certificate = UnsafePointer(texts[0])
        settings.key = UnsafePointer(texts[1])
        settings.authorities = UnsafePointer(texts[2])
        let context = Unmanaged.passRetained(border)
        let daemon = serin_httpd_start(
            settings, requestArrived, requestCompleted, connectionChanged, context.toOpaque())
        guard let daemon else {
            context.release()
            for text in texts { free(text) }
            return nil
        }
        return Door(listener: listener, border: border, daemon: daemon, texts: texts)
    }

    /// Ends a door's threads; waits for them.
    private static func close(_ door: Door) {
        MHD_stop_daemon(door.daemon)
        for text in door.texts { free(text) }
        Unmanaged.passUnretained(door.border).release()
    }

    /// Asks the server to stop: no new connection is taken, requests under way have the grace period, then `run` returns.
    public func stop() { inlet.yield(.stop) }

    /// Answers requests until `stop` is called or the task is cancelled. Must be called once.
    public func run() async {
        let (stops, stopped) = AsyncStream.makeStream(of: Void.self)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.serve(stopped) }
            group.addTask { await self.closeLateConnections() }
            group.addTask {
                for await _ in stops {}
                // Cancelled, and so ended early, when every request is answered before the grace period is over.
                try? await Task.sleep(for: .milliseconds(self.limits.grace.milliseconds))
            }
            await group.next()
            group.cancelAll()
        }
        refuseNew()
        for door in doors { door.border.abandonAll() }
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

    /// Closes connections whose requests never begin, until the task is cancelled: whoever sends a header byte by byte would keep
    /// their places, and others out.
    private func closeLateConnections() async {
        while !Task.isCancelled {
            let now = ContinuousClock().now
            for door in doors { door.border.closeLate(at: now) }
            // A cancelled pause ends the loop.
            try? await Task.sleep(for: .milliseconds(min(500, max(10, limits.header.milliseconds / 10))))
        }
    }

    private func answer(_ work: Work) async {
        let response = await router.respond(to: work.request)
        guard case .stream(let write) = response.body else { return work.exchange.complete(response) }
        let isLet = streams.withLock { streams in
            guard streams < limits.streams else { return false }
            streams += 1
            return true
        }
        guard isLet else { return work.exchange.complete(router.refuseStream(most: limits.streams)) }
        defer { streams.withLock { $0 -= 1 } }
        work.exchange.complete(response)
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
        for door in doors {
            door.listener.unlinkFile()
            let descriptor = MHD_quiesce_daemon(door.daemon)
            if descriptor >= 0 { Glibc.close(descriptor) }
        }
    }

    /// Lets the answers that are ready be written, then ends libmicrohttpd's threads; on a thread of its own because that waits.
    private func shutDown() async {
        await withCheckedContinuation { continuation in
            onNewThread {
                let clock = ContinuousClock()
                let limit = clock.now + .seconds(1)
                while !self.doors.allSatisfy(\.border.isIdle), clock.now < limit { usleep(1000) }
                for door in self.doors { Self.close(door) }
                continuation.resume()
            }
        }
    }
}
