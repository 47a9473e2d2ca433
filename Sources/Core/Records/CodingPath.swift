/// Where a coder stands in a value. A linked list, so that going one level deeper copies nothing.
final class CodingPath: Sendable {
    enum Step: Sendable {
        case key(String)
        case index(Int)
    }

    let parent: CodingPath?
    let step: Step

    init(_ parent: CodingPath?, _ step: Step) {
        self.parent = parent
        self.step = step
    }
}

extension CodingPath? {
    /// The steps from the outermost inwards, as the coding protocols want them.
    var keys: [any CodingKey] {
        var keys: [any CodingKey] = []
        var node = self
        while let current = node {
            keys.append(PathKey(current.step))
            node = current.parent
        }
        return keys.reversed()
    }

    func failure(_ message: String) -> RecordError { RecordError(path: pathText(keys), message) }
}

/// The steps as people read them: `event.observed._0.rows[3]`.
func pathText(_ keys: [any CodingKey]) -> String {
    var text = ""
    for key in keys {
        if let index = key.intValue {
            text += "[\(index)]"
        } else {
            text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
        }
    }
    return text
}

private struct PathKey: CodingKey {
    let stringValue: String
    let intValue: Int?

    init(_ step: CodingPath.Step) {
        switch step {
        case .key(let key):
            stringValue = key
            intValue = nil
        case .index(let index):
            stringValue = "\(index)"
            intValue = index
        }
    }

    init?(stringValue: String) {
        self.stringValue = stringValue
        intValue = nil
    }

    init?(intValue: Int) {
        stringValue = "\(intValue)"
        self.intValue = intValue
    }
}
