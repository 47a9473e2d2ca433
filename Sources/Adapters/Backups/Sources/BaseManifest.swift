internal import SerinCatalogue
internal import SerinModel

/// What a base backup says about itself: the files `backup_label` and `backup_manifest`.
struct BaseManifest: Sendable, Hashable {
    var timeline: Int
    var start: LogPosition
    var stop: LogPosition

    /// Reads both files.
    ///
    /// - Throws: When they are not as Postgres writes them, or do not agree.
    init(label: String, manifest: [UInt8]) throws(Failure) {
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue(parsing: manifest, byteLimit: 1 << 30) } catch {
            throw Failure(.invalid, "the base backup's manifest cannot be read: \(error)")
        }
        // A backup of a standby that was promoted meanwhile has one range for each timeline.
        guard let ranges = document["WAL-Ranges"]?.items, let first = ranges.first, let last = ranges.last,
            let start = first["Start-LSN"]?.text.flatMap({ LogPosition($0) }),
            let stop = last["End-LSN"]?.text.flatMap({ LogPosition($0) }), start < stop,
            let timeline = last["Timeline"]?.integer.flatMap({ Int(exactly: $0) })
        else { throw Failure(.invalid, "the base backup's manifest names no range of write-ahead log") }
        guard
            let line = label.split(whereSeparator: \.isNewline).first(where: { $0.hasPrefix("START WAL LOCATION: ") }),
            LogPosition(String(line.dropFirst(20).prefix { $0 != " " })) == start
        else { throw Failure(.invalid, "the base backup's label and manifest name different positions of the log") }
        self.timeline = timeline
        self.start = start
        self.stop = stop
    }
}
