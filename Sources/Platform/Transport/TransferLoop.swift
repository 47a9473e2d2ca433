internal import CCurl
internal import CSerinCurl
internal import Glibc
internal import SerinLocks
internal import SerinModel

/// The thread behind a `Transport`. Only it touches libcurl: callers hand work over through `inbox` and wake it.
final class TransferLoop: Sendable {
    private enum Message: Sendable {
        case start(Transfer)
        case cancel(UInt64)
    }

    // Unchecked: curl documents `curl_multi_wakeup` as callable from any thread. Everything else happens on the loop's thread, and
    // the handle is freed when neither that thread nor a caller holds the loop any more.
    private struct Multi: @unchecked Sendable { let handle: UnsafeMutableRawPointer }

    private struct State: Sendable {
        var inbox: [Message] = []
        var lastID: UInt64 = 0
        /// Exchanges given up by callers that still wait for the answer.
        var cancelled: Set<UInt64> = []
        var isStopping = false
    }

    /// What only the loop's thread reaches.
    private struct Work {
        var active: [UInt64: (easy: UnsafeMutableRawPointer, transfer: Transfer)] = [:]
        /// Easy handles to use again; making one costs more than a loopback exchange.
        var idle: [UnsafeMutableRawPointer] = []
    }

    private let state = Locked(State())
    private let multi: Multi

    init(connectionLimit: Int) throws(Failure) {
        guard curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK, let handle = curl_multi_init() else {
            throw Failure(.invalid, "cannot initialise libcurl")
        }
        multi = Multi(handle: handle)
        serin_curl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, connectionLimit)
    }

    deinit { curl_multi_cleanup(multi.handle) }

    func start() throws(Failure) {
        let code = startThread { self.run() }
        guard code == 0 else {
            throw Failure(.invalid, "cannot start a thread for HTTP: \(String(cString: strerror(code)))")
        }
    }

    func makeID() -> UInt64 {
        state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
    }

    func add(_ transfer: Transfer) {
        if let defect = transfer.request.defect { return transfer.completion(.failure(transfer.failure(.invalid, defect))) }
        let refusal: String? = state.withLock { state in
            if state.isStopping { return "HTTP is shut down" }
            if state.cancelled.contains(transfer.id) { return "given up by the caller before it was sent" }
            state.inbox.append(.start(transfer))
            return nil
        }
        if let refusal { return transfer.completion(.failure(transfer.failure(.transient, refusal))) }
        curl_multi_wakeup(multi.handle)
    }

    func cancel(_ id: UInt64) {
        state.withLock { state in
            state.cancelled.insert(id)
            state.inbox.append(.cancel(id))
        }
        curl_multi_wakeup(multi.handle)
    }

    func forget(_ id: UInt64) { state.withLock { _ = $0.cancelled.remove(id) } }

    func stop() {
        state.withLock { $0.isStopping = true }
        curl_multi_wakeup(multi.handle)
    }

    private func run() {
        // OpenSSL writes with plain write(2): without this, a peer that hangs up would end the process.
        var signals = sigset_t()
        sigfillset(&signals)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        var work = Work()
        while true {
            let (messages, isStopping) = state.withLock { state in
                defer { state.inbox = [] }
                return (state.inbox, state.isStopping)
            }
            for message in messages {
                switch message {
                case .cancel(let id): giveUp(id, &work)
                case .start(let transfer): begin(transfer, &work)
                }
            }
            var running: Int32 = 0
            curl_multi_perform(multi.handle, &running)
            collect(&work)
            if isStopping && work.active.isEmpty { break }
            curl_multi_poll(multi.handle, nil, 0, 1000, nil)
        }
        for easy in work.idle { curl_easy_cleanup(easy) }
    }

    private func begin(_ transfer: Transfer, _ work: inout Work) {
        if let failure = transfer.openFiles() { return transfer.completion(.failure(failure)) }
        guard let easy = work.idle.popLast() ?? curl_easy_init() else {
            return transfer.completion(.failure(transfer.failure(.transient, "libcurl has no handle to give")))
        }
        guard transfer.prepare(easy), curl_multi_add_handle(multi.handle, easy) == CURLM_OK else {
            curl_easy_cleanup(easy)
            transfer.release()
            return transfer.completion(.failure(transfer.failure(.transient, "libcurl refused the request")))
        }
        work.active[transfer.id] = (easy, transfer)
    }

    private func giveUp(_ id: UInt64, _ work: inout Work) {
        guard let entry = work.active[id] else { return }
        finish(id, entry.transfer.givenUp(entry.easy), &work)
    }

    private func collect(_ work: inout Work) {
        var code = CURLE_OK
        while let easy = serin_curl_multi_next_done(multi.handle, &code) {
            var context: UnsafeMutableRawPointer?
            serin_curl_get_private(easy, &context)
            guard let context else { continue }
            let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            finish(transfer.id, transfer.result(of: easy, code: code), &work)
        }
    }

    private func finish(_ id: UInt64, _ result: Result<HTTPResponse, Failure>, _ work: inout Work) {
        guard let entry = work.active.removeValue(forKey: id) else { return }
        curl_multi_remove_handle(multi.handle, entry.easy)
        // A handle whose exchange failed is not used again: after a name that did not resolve, libcurl 7.88 keeps its buffer, and
        // refuses the next request's size for it.
        if work.idle.count < 32, case .success = result {
            // Resetting drops credentials and buffers; the connection stays with the multi handle.
            curl_easy_reset(entry.easy)
            work.idle.append(entry.easy)
        } else {
            curl_easy_cleanup(entry.easy)
        }
        entry.transfer.release()
        entry.transfer.completion(result)
    }
}
