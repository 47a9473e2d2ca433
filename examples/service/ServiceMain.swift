@main struct ServiceMain {
    static func main() {}
}
