internal import SerinCatalogue
internal import SerinCompression
internal import SerinModel
internal import SerinProcesses

/// Writes what a source gives into a file, and examines the same bytes in the same pass: later this machine may be unable to decrypt
/// them.
struct PipelineDump: Sendable {
    let source: any BackupSource
    let tool: ToolFacts
    let settings: PipelineSettings
    let path: String
    let meter: ProgressMeter

    struct Outcome: Sendable {
        var envelope: EnvelopeFacts
        var product: SourceProduct
        var findings: ConsumerFindings
    }

    /// Blocks its thread.
    func run(stop: StopSignal) throws(Failure) -> Outcome {
        let writer: EnvelopeWriter
        do throws(EnvelopeFailure) {
            writer = try EnvelopeWriter(path, settings.envelope, key: settings.key)
        } catch { throw error.failure }
        let examination = try source.examination(of: tool, stop: stop)
        let product = try source.produce(
            to: { (bytes) throws(Failure) in
                do throws(EnvelopeFailure) { try writer.write(bytes) } catch { throw error.failure }
                try examination.write(bytes)
                meter.note(Int64(writer.plainBytes))
            }, stop: stop)
        let findings = try examination.finish(comparing: product)
        do throws(EnvelopeFailure) {
            return Outcome(envelope: try writer.finish(), product: product, findings: findings)
        } catch { throw error.failure }
    }
}
