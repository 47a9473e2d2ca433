import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import Testbed
import Testing

@Suite struct CommandDestinationTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch("serin-command") }

    /// A store of files in one folder, with keys made flat, as a person would write it.
    static let script = """
        #!/bin/sh
        verb=$1 root=$2 key=$(printf %s "$3" | tr / _) file=$4
        read -r request
        [ "$SERIN_SECRET" = hush ] || { echo "no secret: $SERIN_SECRET"; exit 77; }
        case $verb in
        put) ln "$file" "$root/$key" 2>/dev/null || exit 3; printf %s "$3" >"$root/$key.name" ;;
        replace) cp "$file" "$root/$key" && printf %s "$3" >"$root/$key.name" ;;
        head) [ -f "$root/$key" ] || exit 4; echo "some words"; echo "{\\"size\\":$(stat -c %s "$root/$key")}" ;;
        get) [ -f "$root/$key" ] || exit 4; cat "$root/$key" >"$file" ;;
        delete) rm -f "$root/$key" "$root/$key.name" ;;
        list)
            count=0
            for name in "$root"/*.name; do
                [ -f "$name" ] || continue
                full=$(cat "$name")
                case $full in "$3"*) count=$((count + 1)); echo "{\\"key\\":\\"$full\\",\\"size\\":$(stat -c %s "${name%.name}")}" ;; esac
            done
            echo "{\\"count\\":$count}" ;;
        esac
        """

    private func destination(_ text: String, secret: String = "hush") throws -> any BackupDestination {
        let program = try scratch.write("store.sh", text, mode: 0o755)
        mkdir(scratch.file("objects"), 0o700)
        var settings = ["label": "own", "secret_env": "S", "timeout": "20s"]
        for verb in ["put", "head", "get", "delete", "replace"] {
            settings[verb] = "\(program) \(verb) \(scratch.file("objects")) {{key}} {{file}}"
        }
        settings["list"] = "\(program) list \(scratch.file("objects")) {{prefix}}"
        return try makeDestination("command", settings, secrets: ["S": secret])
    }

    @Test func programsKeepToTheContract() async throws {
        defer { scratch.remove() }
        var contract = DestinationContract(destination: try destination(Self.script), scratch: scratch)
        contract.longSize = 300_000
        _ = try await contract.destination.probe()
        try await contract.check()
    }

    @Test func aProgramThatLiesIsFoundOut() async throws {
        defer { scratch.remove() }
        let destination = try destination("#!/bin/sh\ncase $1 in head) exit 4;; esac\n")
        let contract = DestinationContract(destination: destination, scratch: scratch)
        let upload = try contract.makeUpload("object", contract.bytes(10))
        let failed = await failure { () throws(Failure) in _ = try await destination.put(upload) }
        #expect(failed?.kind == .invalid && failed?.message.contains("it was accepted, but no such object is there") == true)
    }

    @Test func itsLastWordsAreShownWithoutTheSecret() async throws {
        defer { scratch.remove() }
        let destination = try destination(Self.script, secret: "not-to-be-seen")
        let failed = await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 1) }
        #expect(failed?.kind == .denied)
        #expect(failed?.message == "the program for list at command:own ended with status 77: no secret: …")
    }

    @Test func whatIsInterruptedIsNotSaidToHaveTakenTooLong() async throws {
        defer { scratch.remove() }
        let destination = try destination("#!/bin/sh\ntouch '\(scratch.file("begun"))'\nexec sleep 15\n")
        let key = try #require(ObjectKey("main/latest-logical.json"))
        let writing = Task { await failure { () throws(Failure) in _ = try await destination.replace(key, with: [1]) } }
        try await waitUntil("the program") { access(scratch.file("begun"), F_OK) == 0 }
        writing.cancel()
        let message = await writing.value?.message
        #expect(message?.contains("was interrupted") == true && message?.contains("did not end") == false, "\(message ?? "")")
    }

    @Test func aListThatWasCutShortIsRefused() async throws {
        defer { scratch.remove() }
        let destination = try destination("#!/bin/sh\necho '{\"key\":\"a\",\"size\":1}'\n")
        let failed = await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 9) }
        #expect(failed?.message == "the list of command:own does not end with the count of its lines")
    }

    @Test func aListWithAnObjectWithoutItsSizeIsRefused() async throws {
        defer { scratch.remove() }
        let lines = "'{\"key\":\"a\",\"size\":1}' '{\"key\":\"b\"}' '{\"count\":2}'"
        let destination = try destination("#!/bin/sh\nprintf '%s\\n' \(lines)\n")
        let failed = await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 9) }
        #expect(failed?.message == "the list of command:own has a line without a size: {\"key\":\"b\"}")
    }

    @Test func aRunThatWasInterruptedIsNotSaidToHaveTakenTooLong() async throws {
        defer { scratch.remove() }
        let destination = try destination("#!/bin/sh\necho >'\(scratch.file("begun"))'\nexec sleep 60\n")
        let run = Task { await failure { () throws(Failure) in _ = try await destination.list(prefix: "", limit: 1) } }
        try await waitUntil("the program") { access(scratch.file("begun"), F_OK) == 0 }
        run.cancel()
        let failed = await run.value
        #expect(failed?.message == "the program for list at command:own was interrupted")
    }

    @Test func aKeyStaysOneArgumentWhateverItHolds() async throws {
        defer { scratch.remove() }
        let destination = try destination("#!/bin/sh\necho \"$#:$3\" >>'\(scratch.file("seen"))'\nexit 4\n")
        _ = try await destination.head(try #require(ObjectKey("a b; touch x $(id)")), version: nil)
        #expect(String(decoding: try contents(scratch.file("seen")), as: UTF8.self) == "4:a b; touch x $(id)\n")
    }
}
