internal import SerinCatalogue
internal import SerinModel

/// One page of a listing, as an object store answers it.
struct ListedPage {
    var objects: [StoredObject] = []
    /// Names that are no keys of ours, or have no size.
    var foreign: [String] = []
    /// What the next page is asked for by; nil behind the last one.
    var next: String?
    /// Whether it says that there is more, and not how to ask for it.
    var isCutOff = false

    /// A page of a bucket (`ListObjectsV2`).
    ///
    /// - Parameter key: The key that a full name means; nil for what is none.
    init(bucket root: XMLElement, key: (String) -> ObjectKey?) {
        for entry in root.all("Contents") {
            let full = entry["Key"]?.text ?? ""
            guard let key = key(full), let size = Int64(entry["Size"]?.text ?? "") else {
                foreign.append(full)
                continue
            }
            objects.append(
                StoredObject(
                    key: key, size: size, version: entry["Generation"]?.text, etag: entry["ETag"]?.text,
                    storageClass: entry["StorageClass"]?.text,
                    modified: entry["LastModified"].flatMap { moment(rfc3339: $0.text) }))
        }
        guard root["IsTruncated"]?.text == "true" else { return }
        if let token = root["NextContinuationToken"]?.text, !token.isEmpty { next = token } else { isCutOff = true }
    }

    /// A page of a container of Azure (`List Blobs`). Blobs of uncommitted blocks have no size.
    init(container root: XMLElement, key: (String) -> ObjectKey?) {
        for blob in root["Blobs"]?.all("Blob") ?? [] {
            let full = blob["Name"]?.text ?? ""
            let properties = blob["Properties"]
            guard let key = key(full) else {
                foreign.append(full)
                continue
            }
            objects.append(
                StoredObject(
                    key: key, size: Int64(properties?["Content-Length"]?.text ?? "") ?? 0, etag: properties?["Etag"]?.text,
                    storageClass: properties?["AccessTier"]?.text,
                    modified: properties?["Last-Modified"].flatMap { moment(http: $0.text) }))
        }
        if let marker = root["NextMarker"]?.text, !marker.isEmpty { next = marker }
    }
}

/// One page of the uploads that a bucket has parts of (`ListMultipartUploads`).
struct UploadPage {
    var uploads: [PendingUpload] = []
    /// The key and the upload that the next page begins behind; nil behind the last one.
    var next: (key: String, upload: String)?

    init(_ root: XMLElement, key: (String) -> ObjectKey?) {
        for upload in root.all("Upload") {
            guard let full = upload["Key"]?.text, let id = upload["UploadId"]?.text, let key = key(full) else { continue }
            uploads.append(
                PendingUpload(key: key, reference: id, started: upload["Initiated"].flatMap { moment(rfc3339: $0.text) }))
        }
        if root["IsTruncated"]?.text == "true", let key = root["NextKeyMarker"]?.text {
            next = (key, root["NextUploadIdMarker"]?.text ?? "")
        }
    }
}
