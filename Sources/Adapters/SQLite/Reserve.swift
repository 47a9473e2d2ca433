internal import Glibc

/// Disk space kept back beside the journal, given up when the disk is full so that a rollback can still be journaled.
struct Reserve {
    /// The file that occupies the space.
    let path: String
    /// How much, in bytes.
    let size: Int

    /// Occupies the space, for as far as there is any. Returns whether all of it was had.
    func occupy() -> Bool {
        guard size > 0 else { return false }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        guard posix_fallocate(descriptor, 0, size) == 0 else {
            unlink(path)
            return false
        }
        return true
    }

    /// Gives the space back to the disk. Returns whether there was any.
    func release() -> Bool { unlink(path) == 0 }
}
