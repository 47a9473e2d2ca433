public import SerinCatalogue
internal import SerinModel

/// Writes one object to a file: plain bytes in, compressed and encrypted file out, on the disk and under its name only when it is
/// complete. Used by one thread at a time. What is not finished is removed when the writer is let go; what a killed process leaves
/// behind ends in `partialSuffix` and may be removed by the next run that holds the target's lease.
public final class EnvelopeWriter {
    /// How the names of unfinished files end; they begin with a dot.
    public static let partialSuffix = ".partial"

    private let sealing: EnvelopeSealing
    private let file: DurableFile
    private var fileFailure: EnvelopeFailure?

    /// Opens the file. Fails as `exists` when something has its name: an object is written once.
    public init(_ path: String, _ settings: EnvelopeSettings, key: EnvelopeKey) throws(EnvelopeFailure) {
        sealing = try EnvelopeSealing(settings, key: key)
        file = try DurableFile(path)
    }

    /// Plain bytes taken so far.
    public var plainBytes: Int { sealing.plainBytes }
    /// Bytes of the stored object so far.
    public var storedBytes: Int { sealing.storedBytes }

    /// Takes more plain bytes. After an error the object can only be abandoned.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(EnvelopeFailure) {
        do throws(EnvelopeFailure) { try sealing.write(bytes, to: store) } catch { throw fileFailure ?? error }
    }

    /// Ends the object, puts it on the disk and under its name, and gives what has to be known about it.
    public func finish() throws(EnvelopeFailure) -> EnvelopeFacts {
        do throws(EnvelopeFailure) {
            guard fileFailure == nil else { throw EnvelopeFailure(.file, .invalid, "\(file.path) could not be written before") }
            let facts = try sealing.finish(to: store)
            try file.commit()
            return facts
        } catch {
            file.abandon()
            throw fileFailure ?? error
        }
    }

    /// Removes what was written so far.
    public func abandon() { file.abandon() }

    private func store(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        do throws(EnvelopeFailure) {
            try file.write(bytes)
        } catch {
            fileFailure = error
            throw error.failure
        }
    }
}
