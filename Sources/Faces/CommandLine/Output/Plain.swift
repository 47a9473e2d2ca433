internal import SerinModel

/// Text from outside made harmless: one line, and nothing that a terminal would obey.
func plain(_ text: String) -> String { text.madePlain }

/// Text of several lines from outside, each made harmless.
func plainLines(_ text: String) -> String {
    text.textLines(keepingEmpty: true).map { plain(String($0)) }.joined(separator: "\n")
}
