internal import CCurl
internal import CSerinCurl
internal import Glibc
internal import SerinLocks
public import SerinModel

/// Runs HTTP exchanges on one thread that owns a curl multi handle.
///
/// Only the loop's thread touches libcurl. Callers hand work over through `inbox` and wake the loop; an answer resumes the caller.
public final class Transport: Sendable {
    private enum Message: Sendable {
        case start(Transfer)
        case cancel(UInt64)
        case stop
    }

    // Unchecked: curl documents `curl_multi_wakeup` as callable from any thread; everything else happens on the loop's thread.
    private struct Multi: @unchecked Sendable { let handle: UnsafeMutableRawPointer }

    private struct State: Sendable {
        var inbox: [Message] = []
        var lastID: UInt64 = 0
        var isStopped = false
    }

    private let state = Locked(State())
    private let multi: Multi

    /// Starts the loop. Fails only when libcurl cannot be initialised or no thread can be started.
    public init(connectionLimit: Int = 256) throws(Failure) {
        guard curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK, let handle = curl_multi_init() else {
            throw Failure(.invalid, "cannot initialise libcurl")
        }
        multi = Multi(handle: handle)
        serin_curl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, connectionLimit)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(self)
        let code = pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Transport>.fromOpaque(context).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        guard code == 0 else {
            box.release()
            throw Failure(.invalid, "cannot start a thread for HTTP: \(String(cString: strerror(code)))")
        }
        pthread_detach(thread)
    }

    /// Ends the loop once the exchanges under way are over; later requests fail.
    public func shutdown() { post(.stop) }

    /// Performs one exchange. Failures are classified: `unknown` when the request may have reached the server.
    public func send(_ request: HTTPRequest) async throws(Failure) -> HTTPResponse {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let result: Result<HTTPResponse, Failure> = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let transfer = Transfer(id: id, request: request, continuation: continuation)
                let isStopped = state.withLock { state in
                    if !state.isStopped { state.inbox.append(.start(transfer)) }
                    return state.isStopped
                }
                if isStopped {
                    continuation.resume(returning: .failure(Failure(.transient, "HTTP is shut down")))
                } else {
                    curl_multi_wakeup(multi.handle)
                }
            }
        } onCancel: {
            post(.cancel(id))
        }
        return try result.get()
    }

    private func post(_ message: Message) {
        let wake = state.withLock { state in
            if !state.isStopped { state.inbox.append(message) }
            return !state.isStopped
        }
        if wake { curl_multi_wakeup(multi.handle) }
    }

    private func run() {
        var active: [UInt64: (easy: UnsafeMutableRawPointer, transfer: Transfer)] = [:]
        var stopping = false
        func finish(_ id: UInt64, _ result: Result<HTTPResponse, Failure>) {
            guard let entry = active.removeValue(forKey: id) else { return }
            curl_multi_remove_handle(multi.handle, entry.easy)
            curl_easy_cleanup(entry.easy)
            entry.transfer.release()
            entry.transfer.continuation.resume(returning: result)
        }
        while !(stopping && active.isEmpty) {
            let messages = state.withLock { state in
                defer { state.inbox = [] }
                return state.inbox
            }
            for message in messages {
                switch message {
                case .stop: stopping = true
                case .cancel(let id):
                    if let transfer = active[id]?.transfer {
                        finish(id, .failure(transfer.failure(.unknown, "given up by the caller")))
                    }
                case .start(let transfer):
                    guard let easy = curl_easy_init(), transfer.prepare(easy),
                        curl_multi_add_handle(multi.handle, easy) == CURLM_OK
                    else {
                        transfer.continuation.resume(
                            returning: .failure(transfer.failure(.invalid, "libcurl refused the request")))
                        continue
                    }
                    active[transfer.id] = (easy, transfer)
                }
            }
            var running: Int32 = 0
            curl_multi_perform(multi.handle, &running)
            var code = CURLE_OK
            while let easy = serin_curl_multi_next_done(multi.handle, &code) {
                var context: UnsafeMutableRawPointer?
                serin_curl_get_private(easy, &context)
                guard let context else { continue }
                let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
                finish(transfer.id, transfer.result(of: easy, code: code))
            }
            if !(stopping && active.isEmpty) { curl_multi_poll(multi.handle, nil, 0, 1000, nil) }
        }
        let left = state.withLock { state in
            state.isStopped = true
            defer { state.inbox = [] }
            return state.inbox
        }
        for case .start(let transfer) in left {
            transfer.continuation.resume(returning: .failure(Failure(.transient, "HTTP is shut down")))
        }
        curl_multi_cleanup(multi.handle)
    }
}
