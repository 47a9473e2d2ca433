internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

// Summing up a poll for the machine. Whatever is missing is missing here too: nothing becomes healthy by default.
extension Rollout {
    mutating func summarise(_ observation: Observation, _ assessment: Assessment, at now: Instant) -> PollFindings {
        // A poll that began before the latest confirmation, or in the same millisecond, may have read an older weight.
        let isOutdated = confirmedAt.map { observation.at <= $0 } ?? false
        let read = isOutdated ? .weight(machine.inForce) : readBack(observation.traffic)
        let weight = machine.request?.progress == .confirmed ? machine.inForce : .zero
        var seen = share.judge(
            weight, counts: observation.traffic.counts, telemetry: assessment.observedRequests, scrape: feed.scrapeInterval,
            at: observation.at)
        // Right after a raise the counts still hold requests of the weight before, so only "too high" is trusted then.
        if case .warmingUp = machine.state, seen == .low { seen = .unknown }
        return PollFindings(
            verdict: jointVerdict(assessment),
            isBeyondHardLimit: assessment.signals.contains { $0.isBeyondHardLimit && !$0.isReportOnly },
            isSecurityFlagged: assessment.signals.contains { $0.isSecurity && !$0.isReportOnly && $0.verdict == .fail },
            isAlertFiring: !(observation.telemetry?.alerts ?? []).isEmpty,
            database: database.judge(observation.database, at: now),
            isTelemetryLost: isTelemetryLost(observation, assessment, at: now) || isBeforePromotion(observation),
            share: seen, readBack: read,
            // Where the series do not tell, the action and its check are all there is.
            isControlRenewed: assessment.newVersion != .unseen)
    }

    /// Whether a poll that is to show the promoted version began before the promotion action had ended.
    private func isBeforePromotion(_ observation: Observation) -> Bool {
        guard case .verifying = machine.state, let actionEndedAt else { return false }
        return observation.at <= actionEndedAt
    }

    func readBack(_ traffic: TrafficReading) -> ReadBack {
        guard let reading = traffic.reading else { return .unreadable }
        return reading.weight.map { .weight($0) } ?? .meaningless
    }

    /// Fail before nodata before inconclusive before pass. Warnings, or a control beyond its own limit, let nothing pass.
    func jointVerdict(_ assessment: Assessment) -> JointVerdict {
        let judged = assessment.signals.filter { !$0.isReportOnly }
        if assessment.failing != nil || judged.contains(where: { $0.verdict == .fail }) { return .fail }
        if judged.isEmpty || judged.contains(where: { $0.verdict == .nodata }) { return .nodata }
        let allPass = judged.allSatisfy { $0.verdict == .pass && !$0.isControlBeyondHardLimit }
        return allPass && !assessment.isDegraded ? .pass : .inconclusive
    }

    /// Telemetry is lost when it does not answer, or when a cohort that should have series has none or old ones. A canary has
    /// none before it receives traffic, and one at 0 needs none, so it is given two minutes after a raise from 0 was confirmed.
    private func isTelemetryLost(_ observation: Observation, _ assessment: Assessment, at now: Instant) -> Bool {
        guard let telemetry = observation.telemetry else { return true }
        if charter.policy.alerts != nil, telemetry.alerts == nil { return true }
        return assessment.signals.contains { signal in
            guard !signal.isReportOnly, let absence = signal.absence else { return false }
            switch absence {
            case .sourceDown: return true
            case .zeroTraffic, .tooFewRequests: return false
            case .noSeries, .stale:
                // At 100 % the control has no traffic to speak of, and after the promotion no series of its own.
                if signal.absentCohort == .control { return machine.inForce != .all && !machine.isPromotionStarted }
                guard let exposedSince else { return false }
                return now - exposedSince >= Self.seriesGrace
            }
        }
    }

    /// What a promotion lacks, each in a clause.
    var lackingForPromotion: [String] {
        var lacking: [String] = []
        if !bake.isDone { lacking.append("\(Numbers.time(bake.remaining)) of healthy time is still to be observed") }
        for signal in assessment?.signals ?? [] where !signal.isReportOnly && signal.verdict != .pass {
            lacking.append("\(signal.name) is \(signal.verdict.rawValue)")
        }
        if assessment == nil { lacking.append("nothing has been observed yet") }
        if assessment?.isDegraded == true {
            lacking.append("telemetry warns" + (trouble.warnings.isEmpty ? "" : ": \(trouble.warnings)"))
        }
        if let findings {
            if findings.isTelemetryLost { lacking.append("telemetry is lost") }
            if findings.database != .within { lacking.append("postgres: \(database.sentence)") }
            if findings.share == .unknown, !machine.hasShareFit {
                lacking.append("no requests have shown that the canary receives its share")
            }
            if findings.share == .low || findings.share == .high { lacking.append("the canary \(share.sentence)") }
        }
        return lacking
    }
}
