@main struct DemoMain {
    static func main() {}
}
