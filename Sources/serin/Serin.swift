@main struct Serin {
    static func main() {}
}
