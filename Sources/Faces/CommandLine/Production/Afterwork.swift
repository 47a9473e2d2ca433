internal import SerinModel

/// Work that nobody waits for, one piece after the other: telling people, writing the catalogue's mirror. Every piece ends by its own
/// limit, and none can fail whoever asked for it.
final class Afterwork: Sendable {
    typealias Piece = @Sendable () async -> Void

    /// More pieces than this wait only when something has hung for hours; the oldest are let go then.
    private static let limit = 1000

    private let pieces: AsyncStream<Piece>
    private let inlet: AsyncStream<Piece>.Continuation

    init() { (pieces, inlet) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.limit)) }

    /// Puts a piece behind the others.
    @Sendable func add(_ piece: @escaping Piece) { inlet.yield(piece) }

    /// Works beside a body, once. What is left at the body's end has so much time, and is then given up.
    func beside<Value: Sendable>(patience: Duration = .seconds(15), _ body: () async -> Value) async -> Value {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await piece in self.pieces { await piece() } }
            let value = await body()
            inlet.finish()
            // Nil when the work was done first and this sleep is ended.
            group.addTask { try? await Task.sleep(for: .milliseconds(patience.milliseconds)) }
            await group.next()
            group.cancelAll()
            return value
        }
    }
}
