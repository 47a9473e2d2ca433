internal import SerinModel

extension BackupPlanBuilder {
    mutating func destination(from entry: ReadSection.Entry) -> BackupDestination? {
        guard case .section(let section) = entry.value else { return nil }
        let path = "destinations.\(entry.key)"
        guard let place = place(from: section, path: path) else { return nil }
        let isFolder = if case .file = place { true } else { false }
        var retention = section.section("retention").map { self.retention(from: $0) }
        if retention == nil, isFolder { retention = preset?.localRetention }
        return BackupDestination(
            name: entry.key, place: place, isRequired: section.flag("required"),
            isOffsite: section.isGiven("offsite") ? section.flag("offsite") : !isFolder, retention: retention,
            minimumTLS: word(section, "tls_min") ?? preset?.minimumTLS ?? .v12, maximumObject: bytes(section, "max_object"),
            warnSize: bytes(section, "warn_size"))
    }

    private mutating func place(from section: ReadSection, path: String) -> BackupDestination.Place? {
        if let own = section.section("file"), let folder = own.text("path") {
            checkPaths([folder], at: own.mark(of: "path"), path: "\(path).file.path")
            return .file(FileDestination(path: folder, quota: bytes(own, "quota")))
        }
        if let own = section.section("s3") { return s3(from: own, path: "\(path).s3") }
        if let own = section.section("gcs"), let bucket = own.text("bucket"), let credentials = secret("credentials", in: own) {
            return .gcs(
                GCSDestination(
                    bucket: bucket, prefix: own.text("prefix") ?? "", endpoint: endpoint(own, path: "\(path).gcs"),
                    credentials: credentials, storageClass: own.text("storage_class")))
        }
        if let own = section.section("azure"), let account = own.text("account"), let container = own.text("container"),
            let key = secret("key", in: own)
        {
            return .azure(
                AzureDestination(
                    account: account, container: container, prefix: own.text("prefix") ?? "",
                    endpoint: endpoint(own, path: "\(path).azure"), key: key))
        }
        if let own = section.section("telegram"), let chat = own.text("chat"), let token = secret("token", in: own) {
            return telegram(from: own, chat: chat, token: token, path: "\(path).telegram")
        }
        if let own = section.section("command"), own["put"] != nil {
            return .command(
                CommandDestination(
                    put: texts(own, "put"), get: texts(own, "get"), size: texts(own, "size"), list: texts(own, "list"),
                    delete: own["delete"] == nil ? nil : texts(own, "delete")))
        }
        return nil
    }

    private mutating func s3(from section: ReadSection, path: String) -> BackupDestination.Place? {
        guard let bucket = section.text("bucket"), let access = secret("access_key", in: section),
            let secretKey = secret("secret_key", in: section)
        else { return nil }
        var encryption = ServerSideEncryption.none
        let wanted = section.text("sse")
        switch wanted {
        case "kms": encryption = .kms(keyID: section.text("kms_key"))
        case "aes256": encryption = .aes256
        case nil:
            switch preset?.serverSide ?? .none {
            case .none: break
            case .aes256: encryption = .aes256
            case .kms: encryption = .kms(keyID: section.text("kms_key"))
            }
        default: break
        }
        if section["kms_key"] != nil, wanted != "kms", wanted != nil {
            complain(
                section.mark(of: "kms_key"), "\(path).kms_key: is only used with sse: kms", hint: "write sse: kms, or remove it")
        }
        let mode: LockPolicy.Mode? = word(section, "lock")
        let days = section.number("lock_days").map { Int($0) }
        if (mode == nil) != (days == nil) {
            complain(
                section.mark(of: mode == nil ? "lock_days" : "lock"), "\(path): lock and lock_days belong together",
                hint: "write lock: compliance and lock_days: 30")
        }
        var lock: LockPolicy?
        if let mode, let days { lock = LockPolicy(mode: mode, days: days) }
        return .s3(
            S3Destination(
                bucket: bucket, region: section.text("region") ?? "us-east-1", endpoint: endpoint(section, path: path),
                prefix: section.text("prefix") ?? "", pathStyle: section.flag("path_style"), encryption: encryption, lock: lock,
                storageClass: section.text("storage_class"), accessKey: access, secretKey: secretKey,
                sessionToken: secret("session_token", in: section)))
    }

    private mutating func telegram(
        from section: ReadSection, chat: String, token: SecretReference, path: String
    ) -> BackupDestination.Place {
        let endpoint = endpoint(section, path: path)
        // The hosted service gives files of at most 20 MB back; a server of one's own takes 2000 MB.
        let most: Int64 = endpoint == nil ? 19 << 20 : 1900 << 20
        let size = bytes(section, "part_size") ?? most
        if size > most || size < 1 << 20 {
            complain(
                section.mark(of: "part_size"), "\(path).part_size: must be from 1MiB to \(most >> 20)MiB",
                hint: endpoint == nil ? "larger parts could be sent but never fetched again" : nil)
        }
        return .telegram(TelegramDestination(chat: chat, token: token, endpoint: endpoint, partSize: size))
    }

    private mutating func endpoint(_ section: ReadSection, path: String) -> String? {
        guard var url = section.text("endpoint") else { return nil }
        while url.hasSuffix("/") { url.removeLast() }
        if url.hasPrefix("http://") {
            let host = url.dropFirst(7).prefix { $0 != "/" }
            let isHere = ["127.0.0.1", "localhost", "[::1]"].contains { host == $0 || host.hasPrefix($0 + ":") }
            if !isHere {
                complain(
                    section.mark(of: "endpoint"), "\(path).endpoint: backups are never sent over plain http",
                    hint: "write https://, or an address of this machine")
            }
        }
        return url
    }
}
