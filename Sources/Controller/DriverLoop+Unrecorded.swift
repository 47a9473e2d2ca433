internal import SerinModel
internal import SerinPorts
internal import SerinRollouts

// What is seen, told and done while the journal cannot be written.
extension DriverLoop {
    /// What people see while the journal cannot be written: what was recorded last, the weight as it is, and that the rest is not
    /// recorded.
    func unrecorded(at now: Instant) -> Order {
        var shown = driver.board.status
        let present = rollout.status(at: now)
        shown.wantedWeight = present.wantedWeight
        shown.observedWeight = present.observedWeight
        shown.unconfirmedZero = present.unconfirmedZero
        shown.isRollbackIncomplete = present.isRollbackIncomplete
        shown.isWatched = false
        shown.isRecorded = false
        shown.cause =
            "the journal cannot be written: \(journalTrouble); not recorded: \(present.state)"
            + (present.cause == shown.cause || present.cause.isEmpty ? "" : ": \(present.cause)")
        // What a person has to do about a weight that is not confirmed is not put off.
        shown.next =
            (present.unconfirmedZero == nil ? "" : "\(present.next); ")
            + "what happens is recorded once the journal can be written; nothing is raised until then"
        return .publish(shown, replies: [])
    }

    /// How the weight stands, for people who cannot look it up in the journal: what was read back, and never more than that.
    func weightWords(at now: Instant) -> String {
        guard !isZeroConfirmed else { return "weight 0 is read back" }
        let read = rollout.status(at: now).observedWeight.map { "\($0) was read last" } ?? "the weight could not be read"
        guard rollout.machine.request?.weight == .zero else { return read }
        return "weight 0 is asked for and not read back yet, \(read)"
    }

    /// Tells people at once, without the journal.
    func notice(_ text: String, isCall: Bool, at now: Instant) -> Order {
        .tell(
            Notice(isCall: isCall, text: text), driver.board.status,
            word: isCall ? "the journal cannot be written" : "the journal can be written again", at: now)
    }

    /// What a command has done by now, and what becomes of its record. A halt has the weight lowered also where another cause asked for
    /// that first.
    private func unrecordedWords(of batch: Batch, at now: Instant) -> String {
        let isLowered = batch.isHalt && rollout.machine.request?.weight == .zero
        guard isLowered || batch.effects.contains(where: \.isLowering) else {
            return "this is not recorded yet and has no effect until it is\nhint: serin status shows whether it was taken"
        }
        let later =
            journalLoss == nil
            ? "it is recorded once the journal can be written, and lost if the controller ends before"
            : "it is not recorded by this controller any more"
        let done = isZeroConfirmed ? "the weight was lowered" : "the weight is being lowered"
        return "\(done), but this is not recorded yet: \(weightWords(at: now)); \(later)"
    }

    /// Lets the lowering of a batch out although it is not durable yet, calls people if it does, and says to the one who asked what is
    /// not recorded.
    mutating func goAhead(of number: Int, at now: Instant) -> [Order] {
        guard let index = queue.firstIndex(where: { $0.number == number }) else { return [] }
        let trouble = isJournalBroken ? "cannot be written" : "does not answer"
        queue[index].reply?.answer(
            .failure(.unavailable("the journal \(trouble): \(unrecordedWords(of: queue[index], at: now))")))
        queue[index].reply = nil
        for refused in queue[index].refusals {
            refused.reply.answer(
                .failure(.unavailable("the journal \(trouble): \(refused.refusal.message), but this is not recorded yet")))
        }
        queue[index].refusals = []
        guard !queue[index].wentAhead else { return [] }
        queue[index].wentAhead = true
        let batch = queue[index]
        let lowerings = batch.effects.filter(\.isLowering).compactMap { letOut($0, decidedAt: batch.decidedAt, at: now) }
        let calls = batch.effects.filter(\.isCall).compactMap { effect -> Order? in
            guard case .notify(var notice) = effect else { return nil }
            notice.text += "; \(weightWords(at: now)); not recorded, because the journal \(trouble)"
            return .tell(notice, batch.status, word: nil, at: batch.decidedAt)
        }
        return lowerings + calls
    }
}

extension StoreError {
    /// Its words as one sentence, for places that have no line for what to do about it.
    var sentence: String { description.split(separator: "\nhint: ").joined(separator: "; ") }
}

extension Effect {
    /// Whether it calls a person, which no disk may hold up.
    var isCall: Bool {
        guard case .notify(let notice) = self else { return false }
        return notice.isCall
    }
}
