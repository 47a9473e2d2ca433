internal import SerinLocks

/// Some lines at the bottom of a terminal that are drawn over when they change, below the lines that stay.
final class LiveBlock: Sendable {
    private let write: @Sendable (String) -> Void
    private let height = Locked(0)

    init(_ write: @escaping @Sendable (String) -> Void) { self.write = write }

    /// Replaces the block; `above` are lines that stay.
    func draw(_ lines: [String], above: [String] = []) {
        let erase = height.withLock { height in
            defer { height = lines.count }
            // Up to the block's first line, then clear to the end of the screen.
            return height > 0 ? "\u{1B}[\(height)A\u{1B}[J" : ""
        }
        write(erase + (above + lines).map { $0 + "\n" }.joined())
    }

    /// Removes the block.
    func clear() { draw([]) }
}
