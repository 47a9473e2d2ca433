/// For each instance and bin: r = y − Yπ and v = Yπ(1−π), with π the instance's share of all exposure in that bin.
struct InstanceResiduals {
    /// r, by instance and bin.
    var residuals: [[Double]]
    /// v, by instance and bin.
    var variances: [[Double]]

    /// Rows of exposure and events by instance, all of one length.
    init(exposure: [[Double]], events: [[Double]]) {
        let bins = exposure.first?.count ?? 0
        var allExposure = [Double](repeating: 0, count: bins)
        var allEvents = allExposure
        for (n, y) in zip(exposure, events) {
            for k in 0..<bins {
                allExposure[k] += n[k]
                allEvents[k] += y[k]
            }
        }
        residuals = []
        variances = []
        for (n, y) in zip(exposure, events) {
            let shares = (0..<bins).map { allExposure[$0] > 0 ? n[$0] / allExposure[$0] : 0 }
            residuals.append((0..<bins).map { y[$0] - allEvents[$0] * shares[$0] })
            variances.append((0..<bins).map { allEvents[$0] * shares[$0] * (1 - shares[$0]) })
        }
    }
}
