/// The numbers of states by their hashes, with open addressing: states are large, and a dictionary would hold each a second time,
/// move it whenever it grows, and compare it with every other one that falls into its place.
struct StateTable {
    private struct Slot {
        var hash = 0
        /// -1 where the slot is free.
        var number: Int32 = -1
    }

    private var slots = Array(repeating: Slot(), count: 1 << 12)
    private var count = 0

    /// The number of the state with this hash that is the one looked for; nil when there is none.
    func number(_ hash: Int, where isWanted: (Int) -> Bool) -> Int32? {
        var place = hash & (slots.count - 1)
        while slots[place].number >= 0 {
            if slots[place].hash == hash, isWanted(Int(slots[place].number)) { return slots[place].number }
            place = (place + 1) & (slots.count - 1)
        }
        return nil
    }

    /// Takes a state that is not in it yet.
    mutating func insert(_ number: Int32, hash: Int) {
        if count * 2 >= slots.count {
            let old = slots
            slots = Array(repeating: Slot(), count: old.count * 2)
            for slot in old where slot.number >= 0 { put(slot) }
        }
        put(Slot(hash: hash, number: number))
        count += 1
    }

    private mutating func put(_ slot: Slot) {
        var place = slot.hash & (slots.count - 1)
        while slots[place].number >= 0 { place = (place + 1) & (slots.count - 1) }
        slots[place] = slot
    }
}
